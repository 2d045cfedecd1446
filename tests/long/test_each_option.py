"""
Every option of C{twistd h11web}, given to a real process, in as few as possible.

L{does} says which options a test gives and looks at, and L{CompleteTests} that none is
left out: a new option needs a line in one of these tests, or a test of its own.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import socket
import ssl
import time

from tests.support.command_cases import SOON, CommandTestCase
from tests.support.each_option import SCRIPT, EachTestCase, does, tried
from tests.support.handshakes import Authority, both, chain, write_file
from tests.support.long_cases import unnamed
from tests.support.optional import need
from tests.support.ports import free_port
from twisted_h11.tap import Options

skip = unnamed()


class FileTests(EachTestCase):
    """
    Files, and what their responses are like.
    """

    @does(
        *("path", "list-directories", "dot-files", "outside-links", "scripts"),
        *("index", "mime-type", "processor", "ignore-ext", "cache-control"),
        *("precompressed", "spa", "error-page", "vhost", "compress"),
        *("compress-level", "compress-min-length", "compress-type"),
        *("max-compressors", "add-header", "server-header", "port", "interface"),
    )
    def test_files(self) -> None:
        """
        Directories of them.
        """
        html = "<p>" + "x" * 100
        self.write("site/start.odd-page.html", html)
        self.write("site/a.txt", "text")
        self.write("site/.hidden", "hidden")
        self.write("site/name", "unknown")
        self.write("site/listed/file", "")
        self.write("site/script.rpy", SCRIPT)
        self.write("site/x.odd", "")
        self.write("other/start.odd-page.html", "other")
        self.write("404.html", "not to be found")
        os.symlink(self.write("outside", "outside"), f"{self.directory}/site/out")
        with gzip.open(f"{self.directory}/site/a.txt.gz", "wb") as file:
            file.write(b"packed")
        process = self.begin(
            *("--path", "site", "--list-directories", "on", "--dot-files", "on"),
            *("--outside-links", "on", "--scripts", "on"),
            *("--index", "start.odd-page.html", "--mime-type", "text/x-odd"),
            *("--processor", ".odd=app:Odd", "--ignore-ext", ".txt"),
            *("--cache-control", "max-age=60", "--precompressed", "on"),
            *("--spa", "start.odd-page.html", "--error-page", "404=404.html"),
            *("--vhost", "other.example=other", "--compress"),
            *("--compress-level", "9", "--compress-min-length", "50"),
            *("--compress-type", "text/html", "--max-compressors", "3"),
            *("--add-header", "X-Added: yes", "--server-header", "odd/1"),
            *("--port", "0", "--interface", "127.0.0.1"),
        )
        status, fields, body = self.ask(Accept_Encoding="gzip")
        self.assertEqual((200, html), (status, gzip.decompress(body).decode()))
        self.assertEqual(
            ("yes", "odd/1", "max-age=60"),
            tuple(fields[name] for name in ("x-added", "server", "cache-control")),
        )
        self.assertEqual(b"text", self.ask("/a")[2])
        self.assertEqual(
            b"packed", gzip.decompress(self.ask("/a.txt", Accept_Encoding="gzip")[2])
        )
        self.assertEqual("text/x-odd", self.ask("/name")[1]["content-type"])
        self.assertIn(b'href="file"', self.ask("/listed/")[2])
        for target, content in (
            ("/.hidden", b"hidden"),
            ("/out", b"outside"),
            ("/script.rpy", b"from a script"),
            ("/x.odd", b"processed"),
        ):
            self.assertEqual(content, self.ask(target)[2], target)
        self.assertEqual((404, b"not to be found"), self.ask("/nope.png")[::2])
        self.assertEqual(html, self.ask("/page", Accept="text/html")[2].decode())
        self.assertEqual(b"other", self.ask(Host="other.example")[2])
        self.end(process)

    @does("allow-ignore-ext", "basic-auth", "listen", "no-access-log", "config")
    def test_password(self) -> None:
        """
        Behind a password, from a file of options.
        """
        bcrypt = need("bcrypt")
        hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
        self.write("site/page.html", "page")
        self.write("passwords", f"me:{hashed}\n")
        self.write("options.toml", 'basic-auth = "passwords"\n')
        process = self.begin(
            *("--path", "site", "--allow-ignore-ext", "--basic-auth", "passwords"),
            *("--listen", "tcp:0:interface=127.0.0.1", "--no-access-log"),
            *("--config", "options.toml"),
        )
        self.assertEqual(401, self.status("/page"))
        told = self.ask("/page", Authorization="Basic bWU6c2VjcmV0")
        self.assertEqual((200, b"page"), told[::2])
        self.end(process)
        self.assertNotIn("GET /page", self.said)

    @does("resource-script")
    def test_script(self) -> None:
        """
        The resource of a script.
        """
        process = self.begin(
            *("--resource-script", "root.rpy", "-p", "tcp:0:interface=127.0.0.1")
        )
        self.assertEqual(b"from a root", self.ask()[2])
        self.end(process)

    @does("user")
    def test_user(self) -> None:
        """
        The pages of users.
        """
        process = self.begin("--user", "-p", "tcp:0:interface=127.0.0.1")
        self.assertEqual(200, self.status())
        self.end(process)

    @does("personal")
    def test_personal(self) -> None:
        """
        A server that speaks with such a one.
        """
        process = self.begin("--personal", "-p", "tcp:0:interface=127.0.0.1")
        with socket.create_connection(("127.0.0.1", self.ports[0]), SOON) as client:
            # The dialects of Banana.
            self.assertIn(b"none", client.recv(100))
        self.end(process)


class ProxyTests(EachTestCase):
    """
    Behind proxies, and what is logged there.
    """

    @does(
        *("class", "trust-proxy", "forwarded", "root-path", "request-ids"),
        *("request-id-header", "max-request-id-length", "logfile", "log-format"),
        *("log-rotate-size", "log-rotate-count", "display-tracebacks"),
        *("program-log-json",),
    )
    def test_forwarded(self) -> None:
        """
        A proxy that says who the client is.
        """
        process = self.begin(
            *("--class", "app:Tell", "--trust-proxy", "127.0.0.1", "--forwarded"),
            *("forwarded", "--root-path", "/base", "--request-ids", "on"),
            *("--request-id-header", "X-Id", "--max-request-id-length", "10"),
            *("--logfile", "access.log", "--log-format", "{request_id} {client}"),
            *("--log-rotate-size", "30", "--log-rotate-count", "2"),
            *("--display-tracebacks", "--program-log-json"),
            *("-p", "tcp:0:interface=127.0.0.1"),
        )
        said = 'for=192.0.2.9;proto=https;host="a.example"'
        _, _, body = self.ask("/x", Forwarded=said, X_Id="mine-1")
        self.assertEqual(b"192.0.2.9 https://a.example/base secure ", body)
        status, _, body = self.ask("/raises", X_Id="much-too-long")
        self.assertEqual(500, status)
        self.assertIn(b"as it should", body)
        for _ in range(3):
            # Written twice a second, and renamed then.
            time.sleep(0.6)
            self.ask("/x", X_Id="mine-2")
        self.end(process)
        names = [name for name in self.files() if name.startswith("access.log")]
        self.assertIn("access.log.2", names)
        self.assertNotIn("access.log.3", names)
        lines = "".join(self.read(name) for name in names).splitlines()
        self.assertIn("mine-2 127.0.0.1", lines)
        self.assertFalse([line for line in lines if "much-too-long" in line])
        for line in self.said.splitlines():
            self.assertIn("message", json.loads(line))

    @does("proxy-protocol", "max-proxy-header-length", "log-json", "status-listen")
    def test_proxyProtocol(self) -> None:
        """
        A proxy that says it before the request.
        """
        process = self.begin(
            *("--class", "app:Tell", "--trust-proxy", "127.0.0.1"),
            *("--proxy-protocol", "--max-proxy-header-length", "100"),
            *("--log-json", "--logfile", "access.log", "--status-listen"),
            *("tcp:0:interface=127.0.0.1", "-p", "tcp:0:interface=127.0.0.1"),
            ports=2,
        )
        healthy = []
        for port in self.ports:
            # The other one waits for a header.
            with contextlib.suppress(ConnectionError):
                healthy.append((port, self.status("/health", port=port)))
        ((health, status),) = healthy
        self.assertEqual(200, status)
        (port,) = set(self.ports) - {health}
        ask = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        line = b"PROXY TCP4 192.0.2.1 198.51.100.1 50001 443\r\n"
        self.assertIn(b"\r\n\r\n192.0.2.1 ", self.raw(line + ask, port))
        long = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x80" + b"\0" * 128
        self.assertEqual(b"", self.raw(long + ask, port))
        self.end(process)
        logged = [json.loads(one) for one in self.read("access.log").splitlines()]
        self.assertIn(("192.0.2.1", "/x"), [(o["client"], o["target"]) for o in logged])


class TLSTests(EachTestCase):
    """
    With TLS.
    """

    def setUp(self) -> None:
        """
        Certificates.
        """
        super().setUp()
        self.authority = Authority()
        leaf = self.authority.leaf("a.example")
        live = f"{self.directory}/live/a.example"
        write_file(f"{live}/fullchain.pem", chain(leaf))
        write_file(f"{live}/privkey.pem", leaf.private_key_pem.bytes())
        write_file(f"{self.directory}/ca.pem", self.authority.pem)
        mine = self.authority.leaf("me@a.example")
        self.mine = write_file(f"{self.directory}/me.pem", both(mine))

    def context(self) -> ssl.SSLContext:
        """
        That of a client.
        """
        return ssl.create_default_context(cadata=self.authority.pem.decode())

    @does(
        *("https", "certificate", "private-key", "client-ca", "client-certificate"),
        *("tls-min-version", "redirect-https", "redirect-port", "hsts", "http2"),
        *("handshake-timeout", "max-stream-resets", "max-settings"),
    )
    def test_files(self) -> None:
        """
        One certificate, and those of clients.
        """
        need("h2")
        live = "live/a.example"
        process = self.begin(
            *("--https", "0", "--certificate", f"{live}/fullchain.pem"),
            *("--private-key", f"{live}/privkey.pem", "--client-ca", "ca.pem"),
            *("--client-certificate", "optional", "--tls-min-version", "1.3"),
            *("--redirect-https", "--redirect-port", "8443", "--hsts", "60"),
            *("--http2", "--handshake-timeout", "0.5", "--max-stream-resets", "5"),
            *("--max-settings", "50", "--port", "0", "--interface", "127.0.0.1"),
            *("--logfile", "access.log", "--log-format", "{certificate} {tls}"),
            ports=2,
        )
        secure = next(
            int(port) for port in re.findall(r"https://127\.0\.0\.1:(\d+)/", self.said)
        )
        (plain,) = set(self.ports) - {secure}
        status, fields, _ = self.ask("/x", port=plain, Host="a.example")
        self.assertEqual(301, status)
        self.assertEqual("https://a.example:8443/x", fields["location"])
        context = self.context()
        context.load_cert_chain(self.mine)
        _, fields, _ = self.ask(port=secure, context=context)
        self.assertEqual("max-age=60", fields["strict-transport-security"])
        self.assertEqual(200, self.status(port=secure, context=self.context()))
        old = self.context()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with self.assertRaises(ssl.SSLError):
            self.ask(port=secure, context=old)
        modern = self.context()
        modern.set_alpn_protocols(["h2"])
        with (
            socket.create_connection(("127.0.0.1", secure), SOON) as below,
            modern.wrap_socket(below, server_hostname="a.example") as client,
        ):
            self.assertEqual("h2", client.selected_alpn_protocol())
        begun = time.monotonic()
        self.assertEqual(b"", self.raw(b"", secure))
        self.assertLess(time.monotonic() - begun, 20)
        self.end(process)
        lines = self.read("access.log").splitlines()
        self.assertRegex(lines[1], "me.*TLSv1.3")

    @does("certificates")
    def test_folder(self) -> None:
        """
        A folder of certificates.
        """
        process = self.begin("--https=tcp:0:interface=127.0.0.1", "--certificates=live")
        self.assertEqual(200, self.status(context=self.context()))
        self.end(process)


class LimitTests(EachTestCase):
    """
    Sizes, counts and times.
    """

    @does(
        *("max-target-length", "max-head-length", "max-field-count"),
        *("max-body-length", "max-form-length", "max-form-fields"),
        *("max-chunk-extension-length", "max-trailer-length", "drain-length"),
        *("max-requests-per-connection", "max-connections-per-peer"),
        *("max-connections", "max-refused-connections", "read-ahead"),
        *("body-buffer-length", "write-buffer-length", "linger-length"),
        *("linger-timeout", "abort-timeout"),
    )
    def test_sizes(self) -> None:
        """
        What is too long is refused, and what is too many.
        """
        process = self.begin(
            *("--max-target-length", "100", "--max-head-length", "1k"),
            *("--max-field-count", "9", "--max-body-length", "1000"),
            *("--max-form-length", "500", "--max-form-fields", "3"),
            *("--max-chunk-extension-length", "10", "--max-trailer-length", "50"),
            *("--drain-length", "10", "--max-requests-per-connection", "2"),
            *("--max-connections-per-peer", "3", "--max-connections", "50"),
            *("--max-refused-connections", "5", "--read-ahead", "1k"),
            *("--body-buffer-length", "4k", "--write-buffer-length", "1M"),
            *("--linger-length", "1M", "--linger-timeout", "1"),
            *("--abort-timeout", "5", "--class", "app:Tell"),
            *("-p", "tcp:0:interface=127.0.0.1"),
        )
        self.assertEqual(200, self.status("/" + "x" * 90))
        self.assertEqual(414, self.status("/" + "x" * 100))
        self.assertEqual(431, self.status(X="x" * 1000))
        self.assertEqual(431, self.status(**{f"X{n}": "x" for n in range(9)}))
        self.assertEqual(200, self.status(method="POST", body=b"x" * 1000))
        self.assertEqual(413, self.status(method="POST", body=b"x" * 1001))
        form = {"Content_Type": "application/x-www-form-urlencoded"}
        long = b"a=" + b"x" * 600
        self.assertEqual(413, self.status("/form", method="POST", body=long, **form))
        self.assertEqual(413, self.status("/form?a=1&b=1&c=1&d=1"))
        self.assertEqual(b"3", self.ask("/form?a=1&b=1&c=1")[2])
        chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        for framing, status in (
            (b"1;a=bcdefghijklmn\r\nx\r\n0\r\n\r\n", b"400"),
            (b"1\r\nx\r\n0\r\nA: " + b"x" * 60 + b"\r\n\r\n", b"431"),
        ):
            answer = self.raw(chunked + framing)
            self.assertTrue(answer.startswith(b"HTTP/1.1 " + status), answer)
        twice = self.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        self.assertEqual(2, twice.count(b"HTTP/1.1 200 "))
        self.assertEqual(1, twice.count(b"\r\nConnection: close"))
        others = [
            socket.create_connection(("127.0.0.1", self.ports[0]), SOON)
            for _ in range(3)
        ]
        self.assertEqual(503, self.status())
        for one in others:
            one.close()
        self.end(process)

    @does(
        *("first-byte-timeout", "idle-timeout", "head-timeout", "rate-window"),
        *("min-body-rate", "min-response-rate", "half-close-timeout"),
        *("grace", "drain-idle"),
    )
    def test_times(self) -> None:
        """
        Who takes too long is not waited for.
        """
        process = self.begin(
            *("--first-byte-timeout", "0.1", "--idle-timeout", "0.2"),
            *("--head-timeout", "0.3", "--rate-window", "0.3"),
            *("--min-body-rate", "1k", "--min-response-rate", "1k"),
            *("--half-close-timeout", "0.4", "--grace", "0.5", "--drain-idle", "0.1"),
            *("--class", "app:Tell", "-p", "tcp:0:interface=127.0.0.1"),
        )
        begun = time.monotonic()
        self.assertEqual(b"", self.raw(b""))
        get = b"GET / HTTP/1.1\r\nHost: a\r\n"
        self.assertTrue(self.raw(get + b"\r\n").startswith(b"HTTP/1.1 200 "))
        self.assertTrue(self.raw(get).startswith(b"HTTP/1.1 408 "))
        post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"
        self.assertTrue(self.raw(post).startswith(b"HTTP/1.1 408 "))
        # A request without an end is given up when its client has closed its side, and
        # when the server has waited for it.
        asking = socket.create_connection(("127.0.0.1", self.ports[0]), SOON)
        self.addCleanup(asking.close)
        never = b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n"
        asking.sendall(never)
        asking.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            self.assertEqual(b"", asking.recv(100))
        self.assertLess(time.monotonic() - begun, 20)
        other = socket.create_connection(("127.0.0.1", self.ports[0]), SOON)
        self.addCleanup(other.close)
        other.sendall(never)
        time.sleep(0.2)
        begun = time.monotonic()
        self.end(process)
        self.assertLess(time.monotonic() - begun, 20)
        self.assertIn("The grace of 0.5 seconds is over", self.said)

    @does("wsgi", "environ-underscores", "max-threads", "max-thread-queue")
    def test_threads(self) -> None:
        """
        Threads, and requests that wait for one.
        """
        process = self.begin(
            *("--wsgi", "app:app", "--environ-underscores", "--max-threads", "1"),
            *("--max-thread-queue", "0", "-p", "tcp:0:interface=127.0.0.1"),
        )
        odd = b"GET / HTTP/1.1\r\nHost: a\r\nX_Odd: yes\r\nConnection: close\r\n\r\n"
        self.assertTrue(self.raw(odd).endswith(b"yes"))
        with socket.create_connection(("127.0.0.1", self.ports[0]), SOON) as slow:
            slow.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(0.3)
            self.assertEqual(503, self.status())
            self.assertTrue(slow.recv(100).startswith(b"HTTP/1.1 200 "))
        self.end(process)


class WorkerTests(EachTestCase):
    """
    Several processes.
    """

    @does(
        *("workers", "worker-start-timeout", "worker-timeout", "max-requests"),
        *("max-requests-jitter",),
    )
    def test_workers(self) -> None:
        """
        Others take their places after some requests.
        """
        process = self.begin(
            *("--workers", "2", "--worker-start-timeout", "20"),
            *("--worker-timeout", "20", "--max-requests", "5"),
            *("--max-requests-jitter", "2", "--wsgi", "app:app"),
            # Nobody reads what it says.
            "--no-access-log",
            *("-p", "tcp:0:interface=127.0.0.1"),
        )
        pids: set[bytes] = set()
        until = time.monotonic() + SOON
        while len(pids) < 3:
            self.assertLess(time.monotonic(), until)
            pids.add(self.ask("/pid")[2])
        self.assertNotIn(str(process.pid).encode(), pids)
        self.end(process)


class SayingTests(EachTestCase):
    """
    Options after which nothing is served.
    """

    @does("help", "version", "check")
    def test_said(self) -> None:
        """
        What they say.
        """
        for option, expected in (
            ("--help", "Usage: twistd [options] h11web"),
            ("--version", "twisted-h11 "),
            ("--check", "everything is as it should be"),
        ):
            status, out, err = self.run_(
                "-n", "h11web", option, "-p", f"tcp:{free_port()}:interface=127.0.0.1"
            )
            self.assertEqual((0, ""), (status, err))
            self.assertIn(expected, out)


class CompleteTests(CommandTestCase):
    """
    The list has no gap.
    """

    def test_all(self) -> None:
        """
        Each option is tried by one of the tests above, and none that there is not.
        """
        known = {name.rstrip("=") for name in Options().longOpt}
        known = {name for name in known if len(name) > 1}
        done = frozenset[str]().union(*tried())
        self.assertEqual((set(), set()), (known - done, done - known))
