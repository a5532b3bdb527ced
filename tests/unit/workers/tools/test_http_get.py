"""HTTP GET goes only where the declaration says, and never into a private network unless it says so."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from firstline.schemas.tool import ToolResult
from firstline.workers.tools.addresses import is_allowed, is_public
from firstline.workers.tools.base import Place
from firstline.workers.tools.http_get import Arguments, Options, call


class _Pages(BaseHTTPRequestHandler):
    hits: list[str]

    def do_GET(self) -> None:
        type(self).hits.append(f"{self.headers['Host']}{self.path}")
        getattr(self, f"_{self.path.strip('/').partition('/')[0]}")()

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _page(self) -> None:
        self._answer(200, "grüezi".encode(), Content_Type="text/plain; charset=utf-8")

    def _odd(self) -> None:
        self._answer(200, b"plain", Content_Type="text/plain; charset=klingon")

    def _binary(self) -> None:
        self._answer(200, b"\x89PNG\0\0", Content_Type="image/png")

    def _packed(self) -> None:
        self._answer(200, b"\x1f\x8b", Content_Encoding="gzip")

    def _missing(self) -> None:
        self._answer(404, b"not here")

    def _loop(self) -> None:
        self._answer(302, Location="/loop")

    def _go(self) -> None:
        self._answer(302, Location=self.path.removeprefix("/go/"))

    def _big(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(1024):
                self.wfile.write(b"x" * 1024 * 1024)
        except OSError:
            return

    def _slow(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(100):
                self.wfile.write(b".")
                time.sleep(0.1)
        except OSError:
            return

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    class Pages(_Pages):
        hits: list[str] = []  # noqa: RUF012 - of this server alone

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def get(url: str, **options: Any) -> ToolResult:
    return call(Arguments(url=url), Options(**options), Place())


@pytest.fixture
def local(server: ThreadingHTTPServer) -> Any:
    host = f"127.0.0.1:{server.server_port}"
    return lambda path, **options: get(f"http://{host}{path}", **{"hosts": (host,), "allow_private": True, **options})


def test_a_page_comes_with_its_status_and_type(local: Any) -> None:
    value = local("/page").value
    assert (value["status"], value["text"], value["content_type"]) == (200, "grüezi", "text/plain; charset=utf-8")


def test_an_error_page_is_an_error_with_the_page(local: Any) -> None:
    result = local("/missing")
    assert "404" in result.error
    assert result.value["text"] == "not here"


def test_an_unknown_charset_is_read_as_utf_8(local: Any) -> None:
    assert local("/odd").value["text"] == "plain"


@pytest.mark.parametrize(
    ("path", "reason"), [("/binary", "not a text"), ("/packed", "compressed"), ("/loop", "redirects")]
)
def test_what_cannot_be_read_says_why(local: Any, path: str, reason: str) -> None:
    assert reason in local(path).error


def test_a_page_without_end_is_cut(local: Any) -> None:
    result = local("/big", max_bytes=1000)
    assert result.truncated
    assert len(result.value["text"]) == 1000


def test_a_page_that_drips_is_stopped(local: Any) -> None:
    started = time.monotonic()
    assert "within 0.4 s" in local("/slow", timeout_s=0.4).error
    assert time.monotonic() - started < 2


def test_a_redirect_to_an_allowed_host_is_followed_with_its_own_name(local: Any, server: ThreadingHTTPServer) -> None:
    port = server.server_port
    result = local(f"/go/http://localhost:{port}/page", hosts=(f"127.0.0.1:{port}", f"localhost:{port}"))
    assert result.value["url"] == f"http://localhost:{port}/page"
    assert server.RequestHandlerClass.hits[-1] == f"localhost:{port}/page"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/meta-data", "http://localhost:1/x", "file:///etc/passwd"]
)
def test_a_redirect_is_checked_like_the_first_address(local: Any, target: str) -> None:
    result = local(f"/go/{target}")
    assert "not among the allowed hosts" in result.error or "only http and https" in result.error


def test_a_redirect_into_the_private_network_is_refused(monkeypatch: pytest.MonkeyPatch, server: Any) -> None:
    """The first host counts as public here, so that only the check of the second can refuse."""
    monkeypatch.setattr("firstline.workers.tools.addresses.is_public", lambda address: address == "127.0.0.1")
    port = server.server_port
    result = get(f"http://127.0.0.1:{port}/go/http://169.254.169.254/", hosts=("*", f"127.0.0.1:{port}"))
    assert "169.254.169.254" in str(result.error)
    assert "not a public address" in str(result.error)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://localhost/",
        "http://localhost./",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://[fe80::1]/",
        "http://[fc00::1]/",
        "http://224.0.0.1/",
    ],
)
def test_no_spelling_of_a_private_address_is_reached_even_when_every_host_is_allowed(url: str) -> None:
    assert "not a public address" in str(get(url, hosts=("*",), timeout_s=2).error)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://evil.org/", "not among the allowed hosts"),
        ("http://good.org.evil.org/", "not among the allowed hosts"),
        ("http://notgood.org/", "not among the allowed hosts"),
        ("http://good.org:8080/", "not among the allowed hosts"),
        ("http://good.org@evil.org/", "user name"),
        ("ftp://good.org/", "only http and https"),
        ("good.org", "only http and https"),
        ("http://", "not among the allowed hosts"),
        ("http://good.org:99999/", "not among the allowed hosts"),
        ("http://good.org:x/", "not a URL"),
        ("http://0177.0.0.1/", "not a URL"),
        ("http://good.org:443/", "not among the allowed hosts"),
    ],
)
def test_what_the_allow_list_does_not_name_is_refused(url: str, reason: str) -> None:
    assert reason in str(get(url, hosts=("good.org",)).error)


def test_nothing_is_allowed_by_default() -> None:
    assert "(none)" in str(get("http://example.org/").error)


def test_a_name_is_resolved_once_and_that_address_is_used(monkeypatch: pytest.MonkeyPatch, server: Any) -> None:
    """A name server that answers differently the second time (DNS rebinding) is not asked a second time."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def fickle(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "rebind.test":
            return real(host, *args, **kwargs)
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "192.0.2.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", fickle)
    port = server.server_port
    result = get(f"http://rebind.test:{port}/page", hosts=(f"rebind.test:{port}",), allow_private=True)
    assert result.error is None
    assert asked == ["rebind.test"]


def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 80)) for ip in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    assert "10.0.0.1" in str(get("http://mixed.test/", hosts=("mixed.test",)).error)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("host", "port", "entry", "expected"),
    [
        ("a.org", 443, "a.org", True),
        ("a.org", 8443, "a.org:8443", True),
        ("a.org", 443, "a.org:8443", False),
        ("b.a.org", 443, "*.a.org", True),
        ("a.org", 443, "*.a.org", False),
        ("a.org", 443, "A.ORG", True),
        ("::1", 443, "[::1]", True),
        ("::1", 8080, "[::1]:8080", True),
    ],
)
def test_entries_of_the_allow_list(host: str, port: int, entry: str, expected: bool) -> None:
    assert is_allowed(host, port, [entry], default_port=443) is expected
