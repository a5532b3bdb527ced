"""Processes that are killed, a database that is gone, a disk that is full, clocks that jump, messages that repeat."""

import sqlite3
import time
from pathlib import Path

from bench.chaos.scene import OUTAGE_S, Scene
from firstline.orchestrator import api
from tests.servers import Missing


def undisturbed(scene: Scene) -> None:
    """Nothing happens: the time that the others are measured by."""


def kills(scene: Scene) -> None:
    """Kill a worker or an orchestrator with SIGKILL, every five seconds."""
    names = [name for name in scene.deployment.children if name != "simulator"]
    while scene.wait(scene.stage.kill_every_s):
        name = scene.random.choice(names)
        scene.strike(f"kill {name}", tier=name.split("-")[1] if name.startswith("worker") else None)
        scene.deployment.kill(name)


def redis_killed(scene: Scene) -> None:
    """Redis is killed and started again with its append-only file, which may lack the last second."""
    scene.wait_until_share(0.3)
    scene.strike("kill redis", before_s=1.0)
    scene.server.kill()
    scene.wait(2)
    scene.server.start()


def redis_wiped(scene: Scene) -> None:
    """Redis forgets everything in the middle of the job."""
    scene.wait_until_share(0.4)
    paid, recorded = len(scene.paid()), api.status(scene.job).attempts
    scene.strike("wipe redis", outstanding=max(0, paid - recorded))
    scene.redis.flushall()


def database_gone(scene: Scene) -> None:
    """Lock the database from elsewhere (SQLite) or stop it (PostgreSQL) for ten seconds."""
    scene.wait_until_share(0.3)
    with scene.lasting("database gone"):
        if scene.stage.postgres is not None:
            scene.stage.postgres.stop()
            scene.wait(OUTAGE_S)
            scene.stage.postgres.start()
            return
        connection = sqlite3.connect(scene.deployment.database_url.removeprefix("sqlite:///"), timeout=30)
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(OUTAGE_S)
        connection.rollback()
        connection.close()


def clock_steady(scene: Scene) -> None:
    """Nothing happens, under the library that sets clocks: the time that jumps are measured by."""
    if scene.stage.clock is None:
        raise Missing("libfaketime (Debian's package of that name)")


def clock_jumps(scene: Scene) -> None:
    """Set the clock of workers and orchestrators an hour ahead, then an hour back from the true time."""
    if scene.stage.clock is None:
        raise Missing("libfaketime (Debian's package of that name)")
    for share, offset in ((0.2, 3600), (0.5, -3600), (0.8, 0)):
        scene.wait_until_share(share)
        scene.strike(f"clock {offset:+d} s")
        scene.stage.clock.set(offset)


def messages_repeated(scene: Scene) -> None:
    """Messages are copied at random, and others taken out and put back seconds later."""
    client, held = scene.redis, []
    while scene.wait(0.05):
        for name in ("cheap", "frontier", "orchestrator"):
            for key in client.scan_iter(f"firstline.{name}*", count=1000):
                if client.type(key) != b"list":
                    continue
                if (message := client.lindex(key, 0)) is not None:
                    client.lpush(key, message)
                if scene.random.random() < 0.3 and (message := client.rpop(key)) is not None:
                    held.append((time.monotonic() + 3, key, message))
        while held and held[0][0] < time.monotonic():
            _, key, message = held.pop(0)
            client.lpush(key, message)
    for _, key, message in held:
        client.lpush(key, message)


def disk_full(scene: Scene) -> None:
    """Fill the disk that the database is on, and free it again."""
    database = scene.deployment.database_url.removeprefix("sqlite:///")
    if scene.stage.postgres is not None:
        raise Missing("a small disk: only SQLite's file is put on one")
    folder = Path(database).parent
    if folder == scene.deployment.folder:
        raise Missing("a small disk: mounting a tmpfs needs to be root")
    scene.wait_until_share(0.3)
    scene.strike("disk full")
    filler = folder / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 65536)
    except OSError:
        scene.wait(OUTAGE_S)
    filler.unlink()
