"""
The exit codes of the fetch command, which are curl's.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import (
    ConnectError,
    ConnectionDone,
    ConnectionLost,
    DNSLookupError,
)
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.error import SchemeNotSupported

from twisted_h11._command.fetch_options import BadUsage
from twisted_h11._command.fetch_output import OutputFailed
from twisted_h11.client import (
    CertificateError,
    MalformedResponse,
    ProxyError,
    ProxyRefused,
    ResponseTooLarge,
    TLSFailed,
    UnexpectedEnd,
)

__all__ = ["Failed", "exit_code"]


class Failed(Exception):
    """
    The response is an error, or does not match the request.
    """

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def exit_code(error: BaseException) -> int:
    """
    The exit code that curl has for an error.
    """
    if isinstance(error, (BadUsage, Failed)):
        return error.code
    if isinstance(error, OutputFailed):
        return 23
    if isinstance(error, SchemeNotSupported):
        return 1
    if isinstance(error, TwistedTimeoutError):
        return 28
    if isinstance(error, TLSFailed):
        return 60 if error.reasons[0].check(CertificateError) else 35
    if isinstance(error, DNSLookupError):
        return 5 if isinstance(error, ProxyError) else 6
    if isinstance(error, ProxyRefused):
        return 56
    if isinstance(error, ProxyError) and isinstance(
        error, (ResponseFailed, ResponseNeverReceived, RequestTransmissionFailed)
    ):
        return 56
    if isinstance(error, ConnectError):
        return 7
    if isinstance(error, RequestGenerationFailed):
        return 43
    if isinstance(error, RequestTransmissionFailed):
        return 55
    if isinstance(error, ResponseNeverReceived):
        return 52
    if isinstance(error, ResponseFailed):
        reason: Any = error.reasons[-1]
        for kind, code in (
            (MalformedResponse, 8),
            (ResponseTooLarge, 63),
            (UnexpectedEnd, 18),
            ((ConnectionDone, ConnectionLost), 56),
        ):
            if isinstance(reason.value, kind):
                return code
        return 56
    if isinstance(error, ValueError):
        return 3
    return 56
