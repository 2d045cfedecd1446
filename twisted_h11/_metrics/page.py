"""
The page of a status site.

It is one document that loads nothing else: its style and its script are inline, and
allowed by their digests.  The script gets events from the same server, and puts text
into the page as text only.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

__all__ = ["CONTENT_SECURITY_POLICY", "PAGE"]

_STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --text: #1b1f24; --quiet: #59636e;
  --line: #d9dee4; --accent: #0b57a4; --bad: #a4290b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1216; --card: #171b21; --text: #e4e8ed; --quiet: #9aa5b1;
    --line: #2b323b; --accent: #7db8f5; --bad: #f5937d;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 1.5rem 1rem 3rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; -webkit-text-size-adjust: 100%;
}
main, header { max-width: 64rem; margin: 0 auto; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; }
h1 { font-size: 1.4rem; margin: 0; }
#state { color: var(--quiet); }
#state.bad { color: var(--bad); }
.tiles {
  display: grid; gap: .75rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr));
}
.tile, section {
  background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
}
.tile { padding: .6rem .9rem; }
.tile b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
.tile span { color: var(--quiet); font-size: .85rem; }
.columns { display: grid; gap: .75rem;
  grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); }
section { overflow-x: auto; }
h2 {
  font-size: .8rem; letter-spacing: .06em; text-transform: uppercase;
  color: var(--quiet); margin: 0; padding: .6rem .9rem;
  border-bottom: 1px solid var(--line);
}
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .9rem; font-size: .9rem;
  vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
td.target { overflow-wrap: anywhere; min-width: 8rem;
  font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
svg { display: block; width: 100%; height: 4rem; }
polyline { fill: none; stroke: var(--accent); stroke-width: 1.5;
  vector-effect: non-scaling-stroke; }
"""

_SCRIPT = """
"use strict";
const $ = (id) => document.getElementById(id);
const rates = [];
let before = null;

function row(cells) {
  const tr = document.createElement("tr");
  for (const [text, kind] of cells) {
    const td = document.createElement("td");
    td.textContent = text;
    if (kind) td.className = kind;
    tr.append(td);
  }
  return tr;
}

function fill(id, rows) {
  $(id).replaceChildren(...rows.map(row));
}

function time(seconds) {
  if (seconds === null || seconds === undefined) return "-";
  if (seconds < 0.001) return "< 1 ms";
  if (seconds < 1) return (seconds * 1000).toPrecision(3) + " ms";
  return seconds.toPrecision(3) + " s";
}

// Where a share of what came in the last seconds lies, within its bucket.
function percentile(counts, bounds, share) {
  const sum = counts.reduce((a, b) => a + b, 0);
  if (!sum) return null;
  let below = 0;
  for (let i = 0; i < counts.length; i++) {
    if (below + counts[i] >= share * sum) {
      const low = i ? bounds[i - 1] : 0;
      if (i >= bounds.length) return low;
      return low + (bounds[i] - low) * (share * sum - below) / counts[i];
    }
    below += counts[i];
  }
  return null;
}

function requests(list) {
  return list.map((one) => [
    [one.method], [one.target, "target"], [one.status, "number"],
    [time(one.seconds), "number"],
  ]);
}

function show(now) {
  $("worker").textContent = now.worker ? "worker " + now.worker : "";
  $("processes").textContent = now.processes;
  $("total").textContent = now.requests.toLocaleString("en");
  const open = Object.values(now.states).reduce((a, b) => a + b, 0);
  $("open").textContent = open.toLocaleString("en");
  fill("states", Object.entries(now.states).map(
    ([name, n]) => [[name.replace("_", " ")], [n.toLocaleString("en"), "number"]]));
  fill("classes", Object.entries(now.classes).map(
    ([name, n]) => [[name], [n.toLocaleString("en"), "number"]]));
  fill("refused", Object.entries(now.trouble).map(
    ([name, n]) => [[name], [n.toLocaleString("en"), "number"]]));
  fill("newest", requests(now.newest));
  fill("slowest", requests(now.slowest));
  if (before && now.requests >= before.requests) {
    const seconds = Math.max(now.time - before.time, 0.001);
    const rate = (now.requests - before.requests) / seconds;
    $("rate").textContent = rate >= 100 ? Math.round(rate) : rate.toFixed(1);
    const counts = now.durations.map((n, i) => n - before.durations[i]);
    for (const share of [50, 95, 99])
      $("p" + share).textContent = time(percentile(counts, now.bounds, share / 100));
    rates.push(rate);
    if (rates.length > 120) rates.shift();
    const most = Math.max(...rates, 1);
    $("line").setAttribute("points", rates.map(
      (r, i) => (i * 100 / 119).toFixed(2) + "," + (30 - r * 28 / most).toFixed(2)
    ).join(" "));
  }
  before = now;
  $("state").textContent = now.draining ? "is draining" : "is serving";
  $("state").className = now.draining ? "bad" : "";
}

const events = new EventSource("events");
events.onmessage = (event) => show(JSON.parse(event.data));
events.onerror = () => {
  $("state").textContent = "can not be reached";
  $("state").className = "bad";
};
"""

_TABLES = "".join(
    f'<section><h2>{title}</h2><table><tbody id="{name}"></tbody></table></section>'
    for name, title in (
        ("states", "Connections"),
        ("classes", "Responses"),
        ("refused", "Refused, timed out"),
    )
)

_LISTS = "".join(
    f"<section><h2>{title}</h2><table><thead><tr><th>Method</th><th>Target</th>"
    '<th class="number">Status</th><th class="number">Time</th></tr></thead>'
    f'<tbody id="{name}"></tbody></table></section>'
    for name, title in (
        ("newest", "Newest requests of this process"),
        ("slowest", "Slowest requests of this process"),
    )
)

_TILES = "".join(
    f'<div class="tile"><b id="{name}">-</b><span>{title}</span></div>'
    for name, title in (
        ("rate", "requests a second"),
        ("p50", "median time"),
        ("p95", "95 of 100 within"),
        ("p99", "99 of 100 within"),
        ("open", "connections"),
        ("total", "requests"),
        ("processes", "processes"),
    )
)

PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Status</title>
<style>{_STYLE}</style>
</head>
<body>
<header><h1>This server</h1>
<span id="state">...</span><span id="worker"></span></header>
<main>
<div class="tiles">{_TILES}</div>
<section><h2>Requests a second, the last two minutes</h2>
<svg viewBox="0 0 100 30" preserveAspectRatio="none" role="img"
aria-label="Requests a second"><polyline id="line"/></svg></section>
<p></p>
<div class="columns">{_TABLES}</div>
<p></p>
<div class="columns">{_LISTS}</div>
</main>
<noscript>This page needs JavaScript;
<a href="metrics">the numbers</a> do not.</noscript>
<script>{_SCRIPT}</script>
</body>
</html>
""".encode()
"""
The document.
"""


def _digest(text: str) -> str:
    return b64encode(sha256(text.encode("utf-8")).digest()).decode("ascii")


CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_digest(_STYLE)}'; "
    f"script-src 'sha256-{_digest(_SCRIPT)}'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
).encode("ascii")
"""
The Content-Security-Policy of the page.
"""
