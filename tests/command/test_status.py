"""
The status site of C{twistd h11web}.
"""

from __future__ import annotations

from tests.command.test_h11web_options import OptionsTestCase


class OptionTests(OptionsTestCase):
    """
    The option.
    """

    def test_given(self) -> None:
        """
        Without it nothing counts, with it something does.
        """
        self.assertIsNone(self.parse()["metrics"])
        options = self.parse("--status-listen", "tcp:0")
        self.assertEqual(options["status"][0], "tcp:0")
        self.assertIsNotNone(options["metrics"])

    def test_wrong(self) -> None:
        """
        What is no endpoint is told in one line.
        """
        for description in ("9000", "tcp:x", "nonsense:5"):
            message = self.refused("--status-listen", description)
            self.assertTrue(message.startswith(f"--status-listen {description}: "))
        message = self.refused("--personal", "--status-listen", "tcp:0")
        self.assertIn("exclude each other", message)
