"""
The server: a L{Site} that replaces L{twisted.web.server.Site}.

::

    from twisted_h11.server import Site

    endpoint.listen(Site(root))

Resources, requests and sites behave as in twisted.web; C{docs/migrating.rst} lists the
differences, and the reasons for them.
"""

from twisted_h11._server.body import RequestBody, RequestBodyCut
from twisted_h11._server.compression import COMPRESSED_TYPES, Compression
from twisted_h11._server.error_pages import ErrorPages
from twisted_h11._server.forms import FormError
from twisted_h11._server.log_fields import LogField, describe_log_fields
from twisted_h11._server.log_file import LogFile, LogFileError
from twisted_h11._server.log_format import (
    COMBINED_LOG_FORMAT,
    access_log_format,
    json_log_format,
)
from twisted_h11._server.proxied import check_root_path
from twisted_h11._server.proxy_protocol import ProxyProtocolFactory
from twisted_h11._server.report import describe_connections
from twisted_h11._server.request import Request, RequestDisconnected
from twisted_h11._server.request_ids import add_request_id, current_request_id
from twisted_h11._server.site import SERVER_HEADER, Site
from twisted_h11._server.trusted import TrustedProxies
from twisted_h11.limits import Limits, describe_limits

__all__ = [
    "COMBINED_LOG_FORMAT",
    "COMPRESSED_TYPES",
    "SERVER_HEADER",
    "Compression",
    "ErrorPages",
    "FormError",
    "Limits",
    "LogField",
    "LogFile",
    "LogFileError",
    "ProxyProtocolFactory",
    "Request",
    "RequestBody",
    "RequestBodyCut",
    "RequestDisconnected",
    "Site",
    "TrustedProxies",
    "access_log_format",
    "add_request_id",
    "check_root_path",
    "current_request_id",
    "describe_connections",
    "describe_limits",
    "describe_log_fields",
    "json_log_format",
]
