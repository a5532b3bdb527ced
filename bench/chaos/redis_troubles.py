"""What a Redis, or the way to it, does to those who need it: fails over, refuses, falls silent, fills up."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from bench.chaos.scene import OUTAGE_S, Scene
from tests.servers import RedisServer

#: Seconds of writes that a replica lacks when it is promoted.
LAG_S = 2.0
#: Seconds for which a Redis that restarts refuses.
REFUSED_S = 4.0
#: Seconds for which a way swallows what is sent.
SWALLOWED_S = 20.0
#: Seconds for which a Redis does nothing at all.
PAUSED_S = 12.0


def redis_fails_over(scene: Scene) -> None:
    """Promote a replica that lacks the last writes, three times; the server before it is gone."""
    for share in (0.15, 0.4, 0.65):
        replica = RedisServer(scene.server.folder.with_name(f"redis-{time.time_ns()}"), scene.server.binary)
        replica.start()
        follower = redis.Redis(port=replica.port)
        follower.replicaof("127.0.0.1", str(scene.server.port))
        scene.wait_until_share(share)
        while follower.info("replication").get("master_link_status") != "up":
            time.sleep(0.05)
        follower.replicaof("NO", "ONE")
        scene.wait(LAG_S)
        with scene.lasting("fail over", before_s=LAG_S):
            scene.server.kill()
            scene.wait(1)
            scene.deployment.redis = replica
            scene.stage.way.lead_to(replica.port)


def redis_refuses(scene: Scene) -> None:
    """Cut connections and refuse them for some seconds, four times."""
    for share in (0.1, 0.3, 0.5, 0.7):
        scene.wait_until_share(share)
        with scene.lasting("refuse"):
            scene.stage.way.refuse()
            scene.wait(REFUSED_S)
            scene.stage.way.accept()


def redis_half_open(scene: Scene) -> None:
    """Swallow all bytes; connections of before and meanwhile never hear a word again."""
    scene.wait_until_share(0.3)
    with scene.lasting("swallow"):
        scene.stage.way.swallow()
        scene.wait(SWALLOWED_S)
        scene.stage.way.pass_on()


def redis_paused(scene: Scene) -> None:
    """Let the server answer nobody."""
    scene.wait_until_share(0.3)
    with scene.lasting("pause"):
        scene.redis.client_pause(int(PAUSED_S * 1000))
        scene.wait(PAUSED_S)


def redis_kills_clients(scene: Scene) -> None:
    """Cut all connections, again and again."""
    client = scene.redis
    while scene.wait(4):
        scene.strike("kill clients")
        for kind in ("normal", "pubsub"):
            client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


@contextmanager
def _refusing(scene: Scene, what: str, refuse: tuple[str, ...], accept: tuple[str, ...]) -> Iterator[None]:
    client = scene.redis
    scene.wait_until_share(0.3)
    with scene.lasting(what):
        client.execute_command(*refuse)
        yield
        client.execute_command(*accept)


def redis_full(scene: Scene) -> None:
    """Fill the server's memory, so that it takes no more writes."""
    with _refusing(scene, "full", ("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")):
        scene.wait(OUTAGE_S)


def redis_read_only(scene: Scene) -> None:
    """Make the server a replica, and the first again later."""
    with _refusing(scene, "read-only", ("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")):
        scene.wait(OUTAGE_S)


def redis_password_changed(scene: Scene) -> None:
    """Change the password before any process knows the new one, and cut all connections; take it back later."""
    client, admin = scene.redis, ("ACL", "SETUSER", "default")
    scene.wait_until_share(0.3)
    with scene.lasting("password changed"):
        client.execute_command(*admin, "resetpass", ">another")
        client.execute_command("CLIENT", "KILL", "USER", "default", "SKIPME", "yes")
        scene.wait(OUTAGE_S)
        client.execute_command(*admin, "nopass")


def redis_short_of_replicas(scene: Scene) -> None:
    """Let the server take no writes for want of replicas."""
    option = ("CONFIG", "SET", "min-replicas-to-write")
    with _refusing(scene, "short of replicas", (*option, "1"), (*option, "0")):
        scene.wait(OUTAGE_S)
