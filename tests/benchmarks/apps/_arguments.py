"""
The command line of the applications that are their own server.
"""

from __future__ import annotations

import argparse
import ssl

__all__ = ["arguments", "context"]


def arguments(*names: str) -> argparse.Namespace:
    """
    C{--port}, C{--cert} and C{--key} for TLS, C{--origin} for proxies.

    @param names: what may be run, if there are several.
    """
    parser = argparse.ArgumentParser()
    if names:
        parser.add_argument("name", choices=names)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--origin", type=int, help="the port of what a proxy asks")
    return parser.parse_args()


def context(options: argparse.Namespace) -> ssl.SSLContext | None:
    """
    What TLS needs, or C{None} without TLS.
    """
    if options.cert is None:
        return None
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(options.cert, options.key)
    return made
