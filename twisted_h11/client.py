"""
The client: an C{IAgent} on h11, with a bounded pool.

L{Agent} replaces C{twisted.web.client.Agent}.  Twisted's wrappers work with it, and
this module has them too, so that a program changes one import::

    from twisted_h11.client import Agent, HTTPConnectionPool, readBody

    pool = HTTPConnectionPool(reactor)
    agent = Agent(reactor, pool=pool)
    response = await agent.request(b"GET", b"https://example.com/")
    body = await readBody(response)
"""

from twisted.web.client import (
    URI,
    BrowserLikePolicyForHTTPS,
    FileBodyProducer,
    HostnameCachingHTTPSPolicy,
    PartialDownloadError,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss

from twisted_h11._client.agent import Agent
from twisted_h11._client.agent_headers import Headers
from twisted_h11._client.content_codings import ContentDecoderAgent
from twisted_h11._client.cookies import CookieAgent
from twisted_h11._client.endpoints import UNIXEndpointFactory
from twisted_h11._client.errors import (
    ConnectTimedOut,
    MalformedResponse,
    Phased,
    PoolTimedOut,
    ProxyError,
    QueueFull,
    RequestError,
    RequestNotSent,
    ResponseTooLarge,
    TimedOut,
    TLSFailed,
    UnexpectedEnd,
)
from twisted_h11._client.pool import HTTPConnectionPool, PoolCounts
from twisted_h11._client.proxy import Proxies, Proxy
from twisted_h11._client.proxy_agent import ProxyAgent
from twisted_h11._client.redirects import BrowserLikeRedirectAgent, RedirectAgent
from twisted_h11._client.request_head import BadRequest
from twisted_h11._client.response import InterimResponse, Response
from twisted_h11._client.settings import ClientSettings, PoolSettings
from twisted_h11._client.tls import (
    CertificateError,
    TLSPolicy,
    certificates_from,
    public_key_pin,
)
from twisted_h11._client.trace import TraceEvent
from twisted_h11._client.tunnel import ProxyRefused, TunnelEndpoint
from twisted_h11._client.wrappers import GzipDecoder, readBody

__all__ = [
    "URI",
    "Agent",
    "BadRequest",
    "BrowserLikePolicyForHTTPS",
    "BrowserLikeRedirectAgent",
    "CertificateError",
    "ClientSettings",
    "ConnectTimedOut",
    "ContentDecoderAgent",
    "CookieAgent",
    "FileBodyProducer",
    "GzipDecoder",
    "HTTPConnectionPool",
    "Headers",
    "HostnameCachingHTTPSPolicy",
    "InterimResponse",
    "MalformedResponse",
    "PartialDownloadError",
    "Phased",
    "PoolCounts",
    "PoolSettings",
    "PoolTimedOut",
    "PotentialDataLoss",
    "Proxies",
    "Proxy",
    "ProxyAgent",
    "ProxyError",
    "ProxyRefused",
    "QueueFull",
    "RedirectAgent",
    "RequestError",
    "RequestGenerationFailed",
    "RequestNotSent",
    "RequestTransmissionFailed",
    "Response",
    "ResponseDone",
    "ResponseFailed",
    "ResponseNeverReceived",
    "ResponseTooLarge",
    "TLSFailed",
    "TLSPolicy",
    "TimedOut",
    "TraceEvent",
    "TunnelEndpoint",
    "UNIXEndpointFactory",
    "UnexpectedEnd",
    "certificates_from",
    "public_key_pin",
    "readBody",
]
