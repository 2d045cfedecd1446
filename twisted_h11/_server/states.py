"""
The states of a connection of the server: what it reads, and what it waits for.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["Phase", "Reading", "Wait"]


class Reading(Enum):
    """
    What a connection reads next.
    """

    FIRST = "the first bytes, with which the address of the peer may come"
    HEAD = "a request head"
    BODY = "the body of the current request"
    NOTHING = "nothing, until the response has ended"


class Wait(Enum):
    """
    What a connection waits for, with a time-out.
    """

    HANDSHAKE = "the end of the TLS handshake"
    IDLE = "the next request"
    HEAD = "the rest of a request head"
    BODY = "enough of a request body, once in a window"
    REQUEST = "the end of a request, as the application has asked"
    RESPONSE = "enough of a response to be taken, once in a window"
    CLIENT = "the end of a response, when the client has closed its side"


class Phase(Enum):
    """
    What a connection is doing, for metrics and reports.
    """

    NEW = "new"
    IDLE = "idle"
    HEAD = "sending a request head"
    BODY = "sending a request body"
    RESPONSE = "waiting for a response"
    CLOSING = "closing"
    HTTP2 = "HTTP/2"
    GIVEN_AWAY = "given to another protocol"
