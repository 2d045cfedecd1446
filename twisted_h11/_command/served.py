"""
The root and the site of C{twistd h11web}, made from its options.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.application.service import IServiceCollection, MultiService
from twisted.web import static

from twisted_h11._command.endpoints import is_plain
from twisted_h11._command.service import StartError
from twisted_h11._command.welcome import Welcome
from twisted_h11.server import Site

__all__ = ["make_root", "make_site"]


def make_root(config: Any, service: MultiService) -> Any:
    """
    Make the root resource: for all hosts without a C{--vhost}.

    @param config: the options.
    @param service: the collection to which scripts may add services.
    @return: the resource; C{None} if only virtual hosts are served.
    """
    root = config["root"]
    if root is None and not config["vhosts"]:
        root = Welcome()
    for file in (root, *config["files"]):
        if isinstance(file, static.File):
            # Scripts below the file find the service collection in its registry.
            file.registry.setComponent(IServiceCollection, service)
    return root


def make_site(config: Any, root: Any) -> Site:
    """
    Make the site.

    @param config: the options.
    @param root: what L{make_root} returned.
    @raise StartError: if that is not possible; the reason was written to stderr.
    """
    settings: dict[str, Any] = {}
    if "serverHeader" in config:
        settings["serverHeader"] = config["serverHeader"]
    try:
        site = Site(
            config.secureRoot(config.wrapRoot(root)),
            limits=config["limits"],
            http2=bool(config["http2"]),
            hsts=config["hsts"],
            compression=config["compression"],
            errorPages=config["errorPages"],
            extraHeaders=tuple(config["extraHeaders"]),
            environUnderscores=bool(config["environ-underscores"]),
            trustedProxies=config["proxies"],
            rootPath=config["rootPath"],
            metrics=config["metrics"],
            **config["logging"],
            **settings,
        )
        if config["http2"] and all(is_plain(name) for name, _ in config["listen"]):
            raise ValueError(
                "--http2 needs TLS: --https 443 --certificate FILE, or an endpoint "
                "such as --listen ssl:8443:privateKey=key.pem:certKey=cert.pem"
            )
    except ValueError as error:
        print(f"twistd h11web: {error}", file=sys.stderr)
        raise StartError(str(error)) from None
    site.displayTracebacks = bool(config["display-tracebacks"])
    return site
