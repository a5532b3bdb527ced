"""Redis of other kinds: behind TLS, watched by Sentinels, or managed by somebody who rotates a password."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.chaos.scene import OUTAGE_S, Scene
from tests.certificates import Authority
from tests.proxy import Proxy
from tests.redis_kinds import PASSWORD, ManagedRedis, WatchedRedis
from tests.servers import Missing, RedisServer

#: Seconds after a replica's last word until its master is killed: what it has not heard by then is lost.
_HEARD_S = 1.0
#: The process that learns the new password last.
_LAST = "worker-cheap-0"


def sentinel_elects(scene: Scene) -> None:
    """Kill the master that Sentinels watch, twice; what was the master comes back as a replica."""
    watched = scene.server
    if not isinstance(watched, WatchedRedis):
        raise Missing("Sentinels: --kind sentinel")
    for share in (0.2, 0.5):
        scene.wait_until_share(share)
        watched.wait_until_in_step()
        with scene.lasting("kill master", before_s=_HEARD_S):
            before = watched.kill_master()
            while watched.master_port in (None, before):
                time.sleep(0.1)
        watched.revive()


def password_rotated(scene: Scene) -> None:
    """Give the user a new password beside the old one, roll out, withdraw the old one, cut all connections."""
    managed = scene.server
    if not isinstance(managed, ManagedRedis):
        raise Missing("a user with a password: --kind managed")
    old, new = managed.password, f"{managed.password}+"
    scene.wait_until_share(0.2)
    managed.admin.execute_command("ACL", "SETUSER", "tenant", f">{new}")
    children = scene.deployment.children
    known = children[_LAST].env["FIRSTLINE_REDIS_URL"]
    given = {"FIRSTLINE_REDIS_URL": known.replace(f"{managed.quoted(old)}@", f"{managed.quoted(new)}@")}
    for name in (name for name in children if name not in ("simulator", _LAST)):
        scene.strike(f"roll {name}")
        _roll(scene, name, given)
    # Redis leaves the connections of whoever logged in with the old one.
    with scene.lasting("withdraw the old password"):
        managed.admin.execute_command("ACL", "SETUSER", "tenant", f"<{old}")
        managed.admin.execute_command("CLIENT", "KILL", "USER", "tenant")
        scene.wait(OUTAGE_S)
        scene.deployment.change(_LAST, given)
    managed.password = new
    # Who plays this was told the first one.
    managed.admin.execute_command("ACL", "SETUSER", "tenant", f">{PASSWORD}")


def _roll(scene: Scene, name: str, given: dict[str, str]) -> None:
    """Start a process anew with something else in its environment; return when it takes messages."""
    child = scene.deployment.children[name]
    before, pulse = child.process, Path(child.env["FIRSTLINE_PULSE_FILE"])
    scene.deployment.change(name, given)
    while child.process is before and scene.wait(0.1):
        pass
    at = time.time()
    while scene.wait(0.1) and not (pulse.exists() and pulse.stat().st_mtime > at):
        pass


@contextmanager
def redis_of(
    kind: str, folder: Path, binary: dict[str, str]
) -> Iterator[tuple[RedisServer, Proxy, str, dict[str, str]]]:
    """Yield a server that is not started yet, a way to it, the URL that processes are given, and what else they are."""
    match kind:
        case "sentinel":
            server, env = WatchedRedis(folder / "redis", **binary), {}
        case "managed":
            server, env = ManagedRedis(folder / "redis", **binary), {"FIRSTLINE_NAMESPACE": "tenant42:jobs"}
        case _:
            server, env = RedisServer(folder / "redis", **binary), {}
    tls = None
    if kind == "tls":
        authority = Authority(folder / "ca")
        tls, env = authority.sign("redis", "127.0.0.1").context(), {"FIRSTLINE_REDIS_CA_FILE": str(authority.file)}
    way = Proxy(server.port, tls=tls)
    way.start()
    try:
        yield server, way, way.url if kind in ("plain", "tls") else server.url, env
    finally:
        way.stop()
