"""Where Redis is: one server, in the clear or by TLS, or the master that Sentinels name."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

#: Schemes of an address, by that which redis-py and Celery know it by.
SCHEMES = {"redis": "redis", "rediss": "rediss", "unix": "unix", "sentinel": "redis", "sentinels": "rediss"}
EXPECTED = "redis://HOST:6379/0, rediss://..., unix:///PATH, or sentinel://HOST1:26379,HOST2:26379/0"
_SENTINEL_PORT = 26379
#: Parameters of a URL that only Firstline reads.
_OWN = ("master", "sentinel_password")


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is, from its URL."""

    #: What redis-py reads: with Sentinels, the first of them stands for the server that they will name.
    url: str
    #: Host and port of each Sentinel.
    sentinels: tuple[tuple[str, int], ...]
    #: Name under which Sentinels watch the server; empty without them.
    master: str
    #: Password of the Sentinels themselves.
    sentinel_password: str | None
    #: How the server's certificate is looked at, as redis-py names it; None: without TLS.
    tls: dict[str, Any] | None

    @property
    def celery_url(self) -> str:
        """What Celery and Kombu read; each Sentinel has a URL of its own."""
        bare = re.sub(r"\?.*", "", self.url) if self.tls else self.url
        if not self.sentinels:
            return bare.replace("unix://", "redis+socket://", 1)
        parts = urlsplit(bare)
        user, at, _ = parts.netloc.rpartition("@")
        return ";".join(f"sentinel://{user}{at}{_place(*one)}{parts.path}" for one in self.sentinels)

    @property
    def sentinel_options(self) -> dict[str, Any]:
        """What Sentinels are asked with; one that is away is left for the next at once."""
        wait = {"socket_connect_timeout": 1, "socket_timeout": 1, "socket_keepalive": True, "retry": None}
        return wait | ({"ssl": True} | self.tls if self.tls else {}) | {"password": self.sentinel_password}


def address_of(url: str) -> Address:
    """Return what a URL says; ValueError where it says too little."""
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES or not rest:
        raise ValueError(f"expected a URL such as {EXPECTED}")
    parts = _parts(url)
    asked = dict(parse_qsl(parts.query))
    own = {name: asked.pop(name) for name in _OWN if name in asked}
    user, at, hosts = parts.netloc.rpartition("@")
    sentinels = tuple(_host(one) for one in hosts.split(",")) if scheme.startswith("sentinel") else ()
    if sentinels and not own.get("master"):
        raise ValueError("expected the name under which Sentinels watch the server; set FIRSTLINE_REDIS_MASTER")
    if sentinels:
        hosts = _place(*sentinels[0])
    query = f"?{urlencode(asked)}" if asked else ""
    found = f"{SCHEMES[scheme]}://{user}{at}{hosts}{parts.path}{query}"
    _checked(found)
    tls = _tls(found) if SCHEMES[scheme] == "rediss" else None
    return Address(found, sentinels, own.get("master", ""), own.get("sentinel_password"), tls)


def completed(url: str, *, ca_file: Path | None, master: str | None, sentinel_password: str | None) -> str:
    """Return a URL with what settings of their own add to it; what it says itself stands."""
    parts = _parts(url)
    by_tls, by_sentinel = SCHEMES.get(parts.scheme) == "rediss", parts.scheme.startswith("sentinel")
    given = {
        "ssl_ca_certs": str(ca_file) if ca_file and by_tls else None,
        "master": master if by_sentinel else None,
        "sentinel_password": sentinel_password if by_sentinel else None,
    }
    known = dict(parse_qsl(parts.query))
    added = {name: text for name, text in given.items() if text and name not in known}
    if not added:
        return url
    return f"{url}{'&' if parts.query else '?'}{urlencode(added, quote_via=quote)}"


def hosts_of(url: str) -> str:
    """Return host and port of a URL, or of each Sentinel: user names and passwords stay out of sight."""
    try:
        found = address_of(url)
        parts = urlsplit(found.url)
        hosts = found.sentinels or ((parts.hostname or parts.path, parts.port or 0),)
        return ", ".join(_place(*one) for one in hosts)
    except ValueError:
        return "the URL"


def _parts(url: str) -> SplitResult:
    """Split a URL whose hosts may be several; `urlsplit` alone refuses an IPv6 address that is not the only one."""
    scheme, _, rest = url.partition("://")
    hosts = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return urlsplit(f"//host{rest[len(hosts) :]}")._replace(scheme=scheme, netloc=hosts)


def _tls(url: str) -> dict[str, Any]:
    from redis.connection import parse_url

    asked = {name: value for name, value in parse_url(url).items() if name.startswith("ssl_")}  # type: ignore[no-untyped-call]
    return {"ssl_cert_reqs": "required"} | asked


def _host(text: str) -> tuple[str, int]:
    parts = _checked(f"//{text}")
    if not parts.hostname:
        raise ValueError(f"expected a URL such as {EXPECTED}")
    return parts.hostname, parts.port or _SENTINEL_PORT


def _checked(url: str) -> SplitResult:
    """Return the parts of a URL with one host; ValueError where its host or port is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"expected a URL such as {EXPECTED} ({error})") from None
    return parts


def _place(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host and not host.startswith("/") else host
    return f"{shown}:{port}" if port else shown
