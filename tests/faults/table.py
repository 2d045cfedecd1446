"""
The table: every stage, fault, role and transport, and what makes no sense.
"""

from __future__ import annotations

import gc
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.faults import client, client_faults, server, server_faults
from tests.support.socket_cases import certificate

__all__ = ["Row", "everything", "omitted", "rows", "run_row", "to_rst"]

TRANSPORTS = ("memory", "tcp", "tls", "unix")
LETTERS = {"memory": "m", "tcp": "t", "tls": "s", "unix": "u"}
NAMES = {"memory": "in memory", "tcp": "TCP", "tls": "TLS", "unix": "UNIX sockets"}

ROLES: dict[str, tuple[Any, Any, Any]] = {
    "server": (server.STAGES, server_faults.FAULTS, server.run_server),
    "client": (client.STAGES, client_faults.FAULTS, client.run_client),
}


class Row(NamedTuple):
    """
    One thing that fails at one place.
    """

    role: str
    stage: str
    fault: str
    transport: str


def every() -> Iterator[tuple[Row, Any]]:
    """
    All combinations, with their faults.
    """
    for role, (stages, faults, _) in ROLES.items():
        for fault in faults:
            for stage in stages:
                for transport in TRANSPORTS:
                    yield Row(role, stage, fault.name, transport), fault


def _runs(row: Row, fault: Any) -> bool:
    return (
        row.stage in fault.stages
        and row.transport in fault.transports
        and (row.stage, row.transport) not in fault.never
    )


def rows(transports: tuple[str, ...] = TRANSPORTS) -> list[Row]:
    """
    The rows that make sense, on some transports.
    """
    return [
        row
        for row, fault in every()
        if _runs(row, fault) and row.transport in transports
    ]


def omitted() -> dict[tuple[str, str], tuple[int, str]]:
    """
    For each role and fault that is not tried everywhere: how many combinations are
    left out, and why.
    """
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for row, fault in every():
        if not _runs(row, fault):
            count, _ = found.get((row.role, row.fault), (0, ""))
            found[row.role, row.fault] = count + 1, fault.why
    return found


async def run_row(row: Row, flush: Callable[[], object]) -> list[str]:
    """
    Run one row.

    @param flush: forgets what was logged.
    @return: what was wrong.
    """
    _, faults, run = ROLES[row.role]
    (fault,) = (each for each in faults if each.name == row.fault)
    try:
        problems: list[str] = await run(row, fault, flush)
    except Exception:
        problems = [traceback.format_exc()]
    return problems


async def everything(
    chosen: list[Row], flush: Callable[[], object] = lambda: None
) -> dict[Row, list[str]]:
    """
    Run rows, one after the other, without the collector.

    @return: those that have failed, and how.
    """
    if any(row.transport == "tls" for row in chosen):
        certificate()
    gc.collect()
    gc.disable()
    # What is here already need not be looked through each time.
    gc.freeze()
    try:
        done = {row: await run_row(row, flush) for row in chosen}
    finally:
        gc.unfreeze()
        gc.enable()
    return {row: problems for row, problems in done.items() if problems}


# -- as text ------------------------------------------------------------------------


def _cell(row: Row, fault: Any, wrong: dict[Row, list[str]]) -> str:
    """
    The transports on which a fault was tried at a stage; in capitals, if it failed.
    """
    letters = ""
    for transport in TRANSPORTS:
        each = row._replace(transport=transport)
        if _runs(each, fault):
            letter = LETTERS[transport]
            letters += letter.upper() if each in wrong else letter
    return letters


def _grid(role: str, wrong: dict[Row, list[str]]) -> list[str]:
    """
    One role: a line for each fault, a column for each stage.
    """
    stages, faults, _ = ROLES[role]
    lines = [".. csv-table::", "   :header-rows: 1", ""]
    table = [["Fault", *stages]]
    for fault in faults:
        cells = [
            _cell(Row(role, stage, fault.name, ""), fault, wrong) for stage in stages
        ]
        table.append([fault.name, *cells])
    for line in table:
        lines.append("   " + ", ".join(f'"{cell}"' for cell in line))
    return [*lines, ""]


def to_rst(wrong: dict[Row, list[str]]) -> str:
    """
    The table.

    @param wrong: the rows that have failed.
    """
    ran = rows()
    lines: list[str] = []
    for role in ROLES:
        count = Counter(row.transport for row in ran if row.role == role)
        failed = sum(row.role == role for row in wrong)
        each = ", ".join(f"{count[name]} {NAMES[name]}" for name in TRANSPORTS)
        total = sum(count.values())
        lines += [f"The {role}: {total} rows ({each}), {failed} failed.", ""]
        lines += _grid(role, wrong)
    left = omitted()
    total = sum(count for count, _ in left.values())
    lines += [f"Left out, because they make no sense ({total} combinations):", ""]
    reasons: dict[tuple[str, str], list[str]] = {}
    for (role, name), (_, why) in left.items():
        reasons.setdefault((role, why), []).append(name)
    for (role, why), names in reasons.items():
        number = sum(left[role, name][0] for name in names)
        lines.append(f"- {role}, {number}: {', '.join(names)}: {why}.")
    return "\n".join(lines)
