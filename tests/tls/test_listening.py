"""
Sites that listen with certificates from files, and other people's programs as clients.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import (
    SSL4ServerEndpoint,
    TCP4ServerEndpoint,
    UNIXServerEndpoint,
)
from twisted.protocols.tls import TLSMemoryBIOFactory

from tests.support.handshakes import Authority, both, chain, write_file
from tests.support.programs import Programs
from tests.support.server_cases import FAST_PATH, Calls
from tests.test_docs import DOCS, load
from twisted_h11.server import Site
from twisted_h11.tls import ServerTLS, TLSEndpoint

net: Any = reactor


class ListeningTests(Programs):
    """
    Real sockets.
    """

    def setUp(self) -> None:
        """
        An authority, and two certificates.
        """
        super().setUp()
        self.authority = Authority()
        self.root = self.write("ca.pem", self.authority.pem.decode())
        self.live = f"{self.folder}/live"
        self.a = self.renew("a.example")
        self.b = self.renew("b.example")

    def renew(self, name: str) -> Any:
        """
        Write a certificate as certbot does.
        """
        leaf = self.authority.leaf(name, "127.0.0.1")
        write_file(f"{self.live}/{name}/fullchain.pem", chain(leaf))
        write_file(f"{self.live}/{name}/privkey.pem", leaf.private_key_pem.bytes())
        return leaf

    def site(self, **options: Any) -> Any:
        """
        Answers.
        """
        answer = Calls(lambda request: b"%r" % (request.isSecure(),))
        return self.watched(Site(answer, fastPath=FAST_PATH, **options))

    async def serve(self, tls: ServerTLS, **options: Any) -> int:
        """
        Listen on loopback.

        @return: the number of the port.
        """
        endpoint = SSL4ServerEndpoint(net, 0, tls, interface="127.0.0.1")
        port: Any = await endpoint.listen(self.site(**options))
        self.ports.append(port)
        number: int = port.getHost().port
        return number

    async def sClient(self, number: int, *more: str) -> str:
        """
        What openssl s_client says of a connection.
        """
        run = await self.run_(
            self.program("openssl"),
            *("s_client", "-connect", f"127.0.0.1:{number}", "-CAfile", self.root),
            *more,
        )
        return (run.output + run.errors).decode("utf-8", "replace")

    def shows(self, leaf: Any, said: str) -> None:
        """
        It was shown this certificate, and found it good.
        """
        self.assertIn("Verify return code: 0 (ok)", said)
        self.assertIn(f"-----BEGIN CERTIFICATE-----\n{pem_middle(leaf)}", said)

    async def test_openssl(self) -> None:
        """
        openssl s_client gets the certificate for its name, with each version of TLS,
        and the protocol that the site speaks.
        """
        number = await self.serve(ServerTLS(certificates=self.live))
        for version in ("-tls1_2", "-tls1_3"):
            for name, leaf in (("a.example", self.a), ("b.example", self.b)):
                said = await self.sClient(
                    number,
                    *("-servername", name, version, "-alpn", "h2,http/1.1"),
                )
                self.shows(leaf, said)
                self.assertIn("ALPN protocol: http/1.1", said)
        said = await self.sClient(number, "-noservername")
        self.shows(self.a, said)
        said = await self.sClient(number, "-servername", "b.example", "-alpn", "x")
        self.assertIn("no application protocol", said)
        self.assertNotIn("BEGIN CERTIFICATE", said)

    async def test_versions(self) -> None:
        """
        Nothing below the minimum version is spoken.
        """
        number = await self.serve(
            ServerTLS(certificates=self.live, minimumVersion="1.3")
        )
        said = await self.sClient(number, "-tls1_2", "-servername", "b.example")
        self.assertIn("protocol version", said)
        self.shows(self.b, await self.sClient(number, "-servername", "b.example"))

    async def test_http2(self) -> None:
        """
        HTTP/2 is offered where it is switched on.
        """
        number = await self.serve(ServerTLS(certificates=self.live), http2=True)
        said = await self.sClient(
            number, "-servername", "b.example", "-alpn", "h2,http/1.1"
        )
        self.assertIn("ALPN protocol: h2", said)

    async def test_curl(self) -> None:
        """
        curl finds the certificate good, before and after it is renewed, and gets its
        answers.
        """
        tls = ServerTLS(certificates=self.live)
        number = await self.serve(tls)
        options = (
            *("--cacert", self.root, "--connect-to", f"::127.0.0.1:{number}"),
            *("https://a.example/", "https://b.example/"),
        )
        self.assertEqual(b"TrueTrue", await self.curl(*options))
        old = await self.curl("--http1.0", *options[:4], "https://b.example/")
        self.assertEqual(b"True", old)
        self.b = self.renew("b.example")
        self.assertEqual([], tls.reload())
        self.assertEqual(b"TrueTrue", await self.curl(*options))
        self.shows(self.b, await self.sClient(number, "-servername", "b.example"))

    async def test_clientCertificates(self) -> None:
        """
        curl is let in with its certificate, and refused without.
        """
        number = await self.serve(
            ServerTLS(
                certificates=self.live, clientCA=self.root, clientCertificate="required"
            )
        )
        mine = write_file(f"{self.folder}/me.pem", both(self.authority.leaf("me@a")))
        url = f"https://127.0.0.1:{number}/"
        self.assertEqual(
            b"True", await self.curl("--cacert", self.root, "--cert", mine, url)
        )
        run = await self.run_(self.program("curl"), "-sS", "--cacert", self.root, url)
        self.assertEqual((56, b""), (self.status, run.output), run.errors)

    async def test_peerCertificate(self) -> None:
        """
        A request knows the certificate of its client, over HTTP/2 too.
        """

        def render(request: Any) -> bytes:
            certificate = request.getPeerCertificate()
            if certificate is None:
                return b"nobody"
            name = certificate.to_cryptography().subject.rfc4514_string()
            return b"%b by %b" % (name.encode(), request.clientproto)

        tls = ServerTLS(
            certificates=self.live, clientCA=self.root, clientCertificate="optional"
        )
        endpoint = SSL4ServerEndpoint(net, 0, tls, interface="127.0.0.1")
        site = Site(Calls(render), fastPath=FAST_PATH, http2=True)
        port: Any = await endpoint.listen(self.watched(site))
        self.ports.append(port)
        url = f"https://127.0.0.1:{port.getHost().port}/"
        leaf = self.authority.leaf("me@a.example", common_name="me")
        mine = write_file(f"{self.folder}/me.pem", both(leaf))
        for version, spoken in (("--http1.1", b"HTTP/1.1"), ("--http2", b"HTTP/2")):
            options = ("--cacert", self.root, version, url)
            self.assertEqual(b"nobody", await self.curl(*options))
            said = await self.curl("--cert", mine, *options)
            self.assertTrue(said.startswith(b"CN=me,"), said)
            self.assertTrue(said.endswith(b" by " + spoken), said)

    async def test_endpoint(self) -> None:
        """
        L{TLSEndpoint} puts TLS on any endpoint.
        """
        tls = ServerTLS(certificates=self.live)
        path = os.path.join(tempfile.mkdtemp(dir=self.folder), "s")
        for inner, options in (
            (UNIXServerEndpoint(net, path), ("--unix-socket", path)),
            (TCP4ServerEndpoint(net, 0, interface="127.0.0.1"), ()),
        ):
            port: Any = await TLSEndpoint(inner, tls).listen(self.site())
            self.ports.append(port)
            number = getattr(port.getHost(), "port", 443)
            to = ("--connect-to", f"::127.0.0.1:{number}")
            self.assertEqual(
                b"True",
                await self.curl(
                    *("--cacert", self.root, *(options or to)), "https://b.example/"
                ),
            )

    async def test_example(self) -> None:
        """
        The example of the documentation serves, and reloads.
        """
        listening, tls = load(DOCS / "examples" / "tls.py")["serve"](
            0, f"{self.live}/a.example"
        )
        port: Any = await listening
        self.ports.append(port)
        number = port.getHost().port
        self.shows(self.a, await self.sClient(number))
        self.a = self.renew("a.example")
        self.assertEqual([], tls.reload())
        self.shows(self.a, await self.sClient(number))


class ArgumentTests(Programs):
    """
    What L{TLSEndpoint} takes.
    """

    def test_wrong(self) -> None:
        """
        Other things than an endpoint and certificates are refused at the call.
        """
        made: Any = TLSEndpoint
        self.assertRaises(TypeError, made, None, None)
        self.assertRaises(TypeError, made, TLSMemoryBIOFactory, ServerTLS)


def pem_middle(leaf: Any) -> str:
    """
    What is between the marks of a certificate.
    """
    lines = leaf.cert_chain_pems[0].bytes().decode().splitlines()
    return "\n".join(lines[1:-1])
