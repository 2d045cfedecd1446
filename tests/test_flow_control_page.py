"""
The page on flow control draws the states that h11 has.
"""

from __future__ import annotations

import re
from pathlib import Path

import h11
from twisted.trial.unittest import SynchronousTestCase

from twisted_h11._wire import closing, wire

PAGE = Path(__file__).resolve().parent.parent / "docs/discussions/flow-control.rst"

REQUEST = h11.Request(method="POST", target="/", headers=[("Host", "h")])
UPLOAD = h11.Request(
    method="POST", target="/", headers=[("Host", "h"), ("Transfer-Encoding", "chunked")]
)
LAST = h11.Request(
    method="POST", target="/", headers=[("Host", "h"), ("Connection", "close")]
)

# The other numbers of these modules.
SIZES = {"BATCH_LENGTH", "MOST_PIECES"}


def drawing(number: int) -> str:
    """
    One of the diagrams of the page.
    """
    blocks = re.split(r"\.\. code-block:: text\n\n", PAGE.read_text("utf-8"))[1:]
    return re.split(r"\n(?=\S)", blocks[number])[0]


def names(text: str) -> set[str]:
    """
    The states that a diagram names.
    """
    return set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)*\b", text))


class Walk:
    """
    Both sides of one connection, and the states that one side has been in.
    """

    def __init__(self) -> None:
        self.client = h11.Connection(h11.CLIENT)
        self.server = h11.Connection(h11.SERVER)
        self.moves: list[tuple[str, str, str]] = []

    def send(self, side: h11.Connection, event: h11.Event) -> None:
        """
        Send an event, and note both sides' moves.
        """
        other = self.server if side is self.client else self.client
        before = str(side.our_state), str(side.their_state)
        data = side.send(event)
        after = str(side.our_state), str(side.their_state)
        self.moves.append((before[0], type(event).__name__, after[0]))
        self.moves.append((before[1], f"other {type(event).__name__}", after[1]))
        if data:
            other.receive_data(data)
        # An end of a message that has no body takes no bytes.
        while type(received := other.next_event()) is not type(event):
            assert isinstance(received, h11.Event), received


class DrawingTests(SynchronousTestCase):
    """
    The diagrams against h11 itself.
    """

    def test_client(self) -> None:
        """
        The client's side moves as it is drawn.
        """
        one, two = Walk(), Walk()
        for event in (UPLOAD, h11.Data(data=b"x"), h11.EndOfMessage()):
            one.send(one.client, event)
        for event in (LAST, h11.EndOfMessage()):
            two.send(two.client, event)
        moves = one.moves + two.moves
        self.assertIn(("IDLE", "Request", "SEND_BODY"), moves)
        self.assertIn(("SEND_BODY", "Data", "SEND_BODY"), moves)
        self.assertIn(("SEND_BODY", "EndOfMessage", "DONE"), moves)
        self.assertIn(("SEND_BODY", "EndOfMessage", "MUST_CLOSE"), moves)
        seen = {m[0] for m in moves if not m[1].startswith("other")}
        seen |= {m[2] for m in moves if not m[1].startswith("other")}
        self.assertEqual(seen, names(drawing(0)) & set(vars(h11)))

    def test_server(self) -> None:
        """
        The server's side moves as it is drawn.
        """
        moves = []
        for request in (REQUEST, LAST):
            walk = Walk()
            walk.send(walk.client, request)
            moves += [("IDLE", "other Request", str(walk.server.our_state))]
            walk.send(walk.client, h11.EndOfMessage())
            begun = len(walk.moves)
            for event in (
                h11.InformationalResponse(status_code=103, headers=[]),
                h11.Response(
                    status_code=200, headers=[("Transfer-Encoding", "chunked")]
                ),
                h11.Data(data=b"x"),
                h11.EndOfMessage(),
            ):
                walk.send(walk.server, event)
            moves += [m for m in walk.moves[begun:] if not m[1].startswith("other")]
        for move in (
            ("IDLE", "other Request", "SEND_RESPONSE"),
            ("SEND_RESPONSE", "InformationalResponse", "SEND_RESPONSE"),
            ("SEND_RESPONSE", "Response", "SEND_BODY"),
            ("SEND_BODY", "Data", "SEND_BODY"),
            ("SEND_BODY", "EndOfMessage", "DONE"),
            ("SEND_BODY", "EndOfMessage", "MUST_CLOSE"),
        ):
            self.assertIn(move, moves)
        seen = {m[0] for m in moves} | {m[2] for m in moves}
        self.assertEqual(seen, names(drawing(1)) & set(vars(h11)))

    def test_holds(self) -> None:
        """
        The holds of the drawing are those of the table below it, and those that the
        wire has.
        """
        drawn = names(drawing(2))
        table = set(
            re.findall(r"^   \* - ``([A-Z_]+)``", PAGE.read_text("utf-8"), re.M)
        )
        self.assertEqual(drawn, table)
        holds = {
            name: bit
            for module in (wire, closing)
            for name, bit in vars(module).items()
            if name.isupper() and isinstance(bit, int) and name not in SIZES
        }
        self.assertEqual(table, set(holds))
        # Each has a bit of its own.
        self.assertEqual(sorted(holds.values()), [1 << n for n in range(len(holds))])
