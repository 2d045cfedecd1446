"""
The page of L{twisted_h11._command.welcome.Welcome}: a description of a request in HTML.

Text gets into the page through L{_escape} only.  The style sheet is inline, so that
the page needs no second request, and is allowed by its digest.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from html import escape as _escape
from typing import Any

from twisted_h11 import __version__

__all__ = ["CONTENT_SECURITY_POLICY", "render_page"]

_STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --text: #1b1f24; --quiet: #59636e;
  --line: #d9dee4; --accent: #0b57a4; --code: #eef1f5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1216; --card: #171b21; --text: #e4e8ed; --quiet: #9aa5b1;
    --line: #2b323b; --accent: #7db8f5; --code: #20262e;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 2rem 1rem 3rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; -webkit-text-size-adjust: 100%;
}
main, header, footer { max-width: 54rem; margin: 0 auto; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 {
  font-size: .8rem; letter-spacing: .06em; text-transform: uppercase;
  color: var(--quiet); margin: 0; padding: .7rem 1rem;
  border-bottom: 1px solid var(--line);
}
p { margin: .25rem 0; }
header p, footer { color: var(--quiet); }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  margin: 1rem 0; overflow: hidden;
}
section > p { padding: .4rem 1rem; color: var(--quiet); }
code, pre, td, dd { font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
code, pre, th, td, dt, dd { font-size: .875rem; overflow-wrap: anywhere; }
code { background: var(--code); border-radius: .3rem; padding: .1em .35em; }
.line { padding: .9rem 1rem; margin: 0; font-size: 1rem; white-space: pre-wrap; }
.line b { color: var(--accent); }
.line span { color: var(--quiet); }
pre { margin: 0; padding: .8rem 1rem; white-space: pre-wrap; max-height: 30rem;
  overflow: auto; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th, td { text-align: left; vertical-align: top; padding: .4rem 1rem; }
th { width: 34%; font-weight: 600; }
td { white-space: pre-wrap; }
tr + tr > * { border-top: 1px solid var(--line); }
footer { font-size: .875rem; margin-top: 1.5rem; }
@media (max-width: 36rem) {
  body { padding: 1.25rem .6rem 2rem; }
  tr, th, td { display: block; width: auto; }
  th { padding: .5rem .9rem 0; color: var(--quiet); }
  td { padding: 0 .9rem .5rem; }
  tr + tr > td { border-top: 0; }
}
"""

_DIGEST = b64encode(sha256(_STYLE.encode("utf-8")).digest())

CONTENT_SECURITY_POLICY = (
    b"default-src 'none'; style-src 'sha256-" + _DIGEST + b"'; base-uri 'none'; "
    b"form-action 'none'; frame-ancestors 'none'"
)
"""
Allows the style sheet and nothing else.
"""

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{method} {target}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>It works</h1>
<p>This is <code>twistd h11web</code> with nothing to serve yet, so it shows your
request as it understood it. Clients that do not ask for HTML get the same as JSON.</p>
</header>
<main>
<section id="request">
<h2>Request</h2>
<pre class="line"><b>{method}</b> {target} <span>{version}</span></pre>
</section>
{sections}</main>
<footer>
<p>Give it something to serve: <code>--path DIRECTORY</code>,
<code>--wsgi module.application</code>, <code>--class module.ResourceClass</code>;
<code>twistd h11web --help</code> lists the rest.</p>
<p>{product}</p>
</footer>
</body>
</html>
"""


def render_page(described: dict[str, Any]) -> str:
    """
    Make the page.

    @param described: what L{twisted_h11._command.welcome.describe_request} returns.
    """
    method, target = _escape(described["method"]), _escape(described["target"])
    query = (
        (name, value) for name, values in described["query"].items() for value in values
    )
    return _PAGE.format(
        style=_STYLE,
        product=_escape(f"twisted-h11 {__version__}"),
        method=method,
        target=target,
        version=_escape(described["version"]),
        sections="".join(
            (
                _table("fields", "Fields", described["fields"]),
                _table("query", "Query", query),
                _body(described["body"]),
                _table("connection", "Connection", _connection(described)),
            )
        ),
    )


def _connection(described: dict[str, Any]) -> list[tuple[str, str]]:
    """
    The rows about the connection.
    """
    rows = [
        ("Peer", described["peer"] or "unknown"),
        ("Host", described["host"] or "unknown"),
    ]
    tls = described["tls"]
    if tls is None:
        rows.append(("TLS", "no"))
    else:
        rows.append(("TLS", tls["version"] or "yes"))
        rows.append(("Cipher", tls["cipher"] or "unknown"))
        rows.append(("ALPN", tls["alpn"] or "not negotiated"))
    return rows


def _table(anchor: str, title: str, pairs: Iterable[Iterable[str]]) -> str:
    """
    A section with a table of names and values; empty if there are none.
    """
    rows = "".join(
        f'<tr><th scope="row">{_escape(name)}</th><td>{_escape(value)}</td></tr>\n'
        for name, value in pairs
    )
    if not rows:
        return ""
    return (
        f'<section id="{anchor}">\n<h2>{title}</h2>\n<table>\n{rows}</table>\n'
        "</section>\n"
    )


def _body(body: dict[str, Any] | None) -> str:
    """
    The section about the request body.
    """
    if body is None:
        return ""
    length = body["length"]
    note = f"{length} byte" if length == 1 else f"{length} bytes"
    if "base64" in body:
        note += ", not UTF-8: shown in base64"
    if body["truncated"]:
        note += ", the beginning is shown"
    # Browsers drop a line break right after <pre>, so one is added for that.
    return (
        f'<section id="body">\n<h2>Body</h2>\n<p>{note}</p>\n'
        f"<pre>\n{_escape(body.get('text', body.get('base64', '')))}</pre>\n"
        "</section>\n"
    )
