"""
The options of C{twistd h11web} for limits: one per field of L{Limits}, made from the
field's metadata.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from twisted.python import usage

from twisted_h11._command.bounds import (
    bound_name,
    describe_bound,
    format_bound,
    parse_bound,
)
from twisted_h11._command.values import read_option
from twisted_h11.limits import Limits, describe_limits

__all__ = ["LimitOptions"]


def _limit_parameters() -> list[list[Any]]:
    """
    One parameter per field of L{Limits}, as L{usage.Options} takes them.
    """
    parameters: list[list[Any]] = []
    for bound in describe_limits():
        parameters.append(
            [bound_name(bound), None, format_bound(bound), describe_bound(bound)]
        )
    return parameters


class LimitOptions(usage.Options):
    """
    Limits.

    After L{checkLimits}, C{self["limits"]} is a L{Limits}.

    @since: 0.1
    """

    heading = "Limits"

    optParameters: ClassVar[list[list[Any]]] = _limit_parameters()

    def checkLimits(self) -> None:
        """
        Make the L{Limits} from the options.
        """
        values: dict[str, Any] = {}
        for bound in describe_limits():
            option = bound_name(bound)
            values[bound.name] = read_option(self, option, partial(parse_bound, bound))
        all_, each = values["maxConnections"], values["maxConnectionsPerPeer"]
        if all_ is not None and each is not None and each > all_:
            raise usage.UsageError(
                f"--max-connections-per-peer {each}: can not be reached with "
                f"--max-connections {all_}"
            )
        self["limits"] = Limits(**values)
