"""Which hosts and addresses a request may reach: allow-list first, then no address inside our own networks."""

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from fnmatch import fnmatchcase

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_allowed(host: str, port: int, allowed: Iterable[str], *, default_port: int) -> bool:
    """Tell whether an entry (`host`, `*.host`, `host:port`, `*`) names the host; one without a port means the usual."""
    entries = (_split(entry) for entry in allowed)
    return any(fnmatchcase(host, name) and port == (wanted or default_port) for name, wanted in entries)


def is_public(address: str) -> bool:
    """Tell whether an address is reachable by everyone: not private, loopback, link-local, shared, reserved, multicast.

    An IPv4 address inside an IPv6 one (mapped, 6to4, Teredo, NAT64) counts as the IPv4 address that it leads to.
    """
    ip: _Address = ipaddress.ip_address(address.partition("%")[0])
    # The mapped form is only a way to write an IPv4 address; the others are addresses of their own that lead to one.
    leads_to = [ip.ipv4_mapped] if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped else [ip, *_inner(ip)]
    return all(each.is_global and not each.is_multicast and not each.is_reserved for each in leads_to)


def resolve(host: str, port: int, *, allow_private: bool) -> str:
    """Return one address of the host to connect to; OSError when it has none, PermissionError when one is not public.

    A name with even one private address is refused: which of its addresses is used must not be a matter of luck.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    private = [address for address in addresses if not is_public(address)]
    if private and not allow_private:
        raise PermissionError(f"{host} leads to {private[0]}, which is not a public address")
    return addresses[0]


async def resolved(host: str, port: int, *, allow_private: bool) -> str:
    """Return what `resolve` does, in a thread of its own: a name server that is silent keeps no loop, nor its end."""
    found: Future[str] = Future()

    def look() -> None:
        found.set_running_or_notify_cancel()
        try:
            found.set_result(resolve(host, port, allow_private=allow_private))
        except Exception as error:
            found.set_exception(error)

    threading.Thread(target=look, name="firstline-resolve", daemon=True).start()
    return await asyncio.wrap_future(found)


def _inner(ip: _Address) -> list[ipaddress.IPv4Address]:
    if isinstance(ip, ipaddress.IPv4Address):
        return []
    teredo = ip.teredo[1] if ip.teredo else None
    nat64 = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
    return [inner for inner in (ip.sixtofour, teredo, nat64) if inner]


def _split(entry: str) -> tuple[str, int | None]:
    host, colon, port = entry.rpartition(":")
    if colon and port.isdigit() and (not host.count(":") or host.endswith("]")):
        return host.lower().strip("[]"), int(port)
    return entry.lower().strip("[]"), None
