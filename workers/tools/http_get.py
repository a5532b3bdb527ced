"""HTTP GET from an allow-list of hosts, never into a private network, bounded in size and time."""

import time
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field

from firstline.schemas.base import Frozen
from firstline.schemas.tool import ToolResult
from firstline.workers.tools.addresses import is_allowed, resolve
from firstline.workers.tools.base import Kind, Place, failed

if TYPE_CHECKING:
    import httpx

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = 5


class Options(Frozen):
    """Where it may go and how much it may bring."""

    #: `example.org`, `*.example.org`, `example.org:8443`, `*`; nothing is reachable that no entry names.
    hosts: tuple[str, ...] = ()
    #: Reach loopback, private and link-local addresses too; for a service of one's own that is in `hosts`.
    allow_private: bool = False
    max_bytes: int = Field(default=200_000, ge=1, le=20_000_000)
    timeout_s: float = Field(default=15.0, gt=0, le=300)


class Arguments(Frozen):
    """The address of the page."""

    url: str = Field(max_length=4000)


class _Refusal(NamedTuple):
    reason: str


def call(arguments: Arguments, options: Options, _: Place) -> ToolResult:
    """Return `{url, status, content_type, text}` of the page; a status of 400 and above is an error with its page.

    The name is resolved once, its address checked, and the connection made to that address (with the name for TLS), so
    that a second answer of the name server (DNS rebinding) changes nothing. Redirects, at most 5, are checked alike.
    """
    # Loaded by the first call: every process of ours has this module, few ever call it.
    import httpx

    deadline = time.monotonic() + options.timeout_s
    try:
        # No proxy and no .netrc from the environment: a proxy would resolve the name again.
        with httpx.Client(trust_env=False, follow_redirects=False) as client:
            return _follow(client, httpx.URL(arguments.url), options, deadline)
    except httpx.InvalidURL as error:
        return failed(f"not a URL: {error}")
    except httpx.TimeoutException:
        return failed(f"{arguments.url} did not answer within {options.timeout_s:g} s", transient=True)
    except httpx.HTTPError as error:
        return failed(f"cannot get {arguments.url}: {error or type(error).__name__}", transient=True)


def _follow(client: "httpx.Client", url: "httpx.URL", options: Options, deadline: float) -> ToolResult:
    for _ in range(_REDIRECTS + 1):
        request = _request(client, url, options, deadline)
        if isinstance(request, _Refusal):
            return failed(request.reason)
        response = client.send(request, stream=True)
        try:
            location = response.headers.get("location")
            if not (response.is_redirect and location):
                return _page(response, url, options, deadline)
            url = url.join(location)
        finally:
            response.close()
    return failed(f"more than {_REDIRECTS} redirects, the last to {url}")


def _request(client: "httpx.Client", url: "httpx.URL", options: Options, deadline: float) -> "httpx.Request | _Refusal":
    """Return the request to the checked address of the host, or why there is none."""
    if url.scheme not in _PORTS:
        return _Refusal(f"only http and https are allowed, got {url.scheme or 'no scheme'!r}")
    if url.userinfo:
        return _Refusal("a URL with a user name or password is not allowed")
    host = url.raw_host.decode("ascii").rstrip(".").lower().strip("[]")
    port = url.port or _PORTS[url.scheme]
    if not is_allowed(host, port, options.hosts, default_port=_PORTS[url.scheme]):
        return _Refusal(f"{host}:{port} is not among the allowed hosts ({', '.join(options.hosts) or 'none'})")
    try:
        address = resolve(host, port, allow_private=options.allow_private)
    except (OSError, UnicodeError) as error:
        return _Refusal(f"cannot reach {host}: {error}")
    left_s = max(0.001, deadline - time.monotonic())
    return client.build_request(
        "GET",
        url.copy_with(host=address),
        # Uncompressed, so that the size limit counts what is held in memory.
        headers={"Host": url.netloc.decode("ascii"), "Accept-Encoding": "identity", "User-Agent": "firstline"},
        extensions={"sni_hostname": host},
        timeout=left_s,
    )


def _page(response: "httpx.Response", url: "httpx.URL", options: Options, deadline: float) -> ToolResult:
    if response.headers.get("content-encoding", "identity") != "identity":
        return failed(f"{url} answers compressed although asked not to")
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > options.max_bytes:
            break
        if time.monotonic() > deadline:
            return failed(f"{url} did not end within {options.timeout_s:g} s", transient=True)
    truncated = len(body) > options.max_bytes
    text = _text(bytes(body[: options.max_bytes]), response.charset_encoding)
    if "\0" in text:
        return failed(f"{url} is not a text ({response.headers.get('content-type', 'unknown type')})")
    kind = response.headers.get("content-type")
    result = ToolResult(
        value={"url": str(url), "status": response.status_code, "content_type": kind, "text": text},
        truncated=truncated,
    )
    if response.is_success:
        return result
    # What the server could not do now, it may do a little later; what it will not do, it will not.
    away = response.status_code == 429 or response.status_code >= 500
    return result.evolve(error=f"{url} answered {response.status_code}", transient=away)


def _text(body: bytes, encoding: str | None) -> str:
    try:
        return body.decode(encoding or "utf-8", errors="replace")
    except LookupError:
        return body.decode("utf-8", errors="replace")


HTTP_GET = Kind(
    name="http_get",
    description="Get a page by its URL.",
    arguments=Arguments,
    options=Options,
    call=call,
)
