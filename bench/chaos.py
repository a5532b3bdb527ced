"""Breaks a running deployment in every way it is built for, and counts what was lost and what was paid twice.

    python -m bench.chaos [--quick] [--json] [--database sqlite|postgresql] [--redis BINARY] [--only NAME]

Real processes: Redis with its append-only file, orchestrators, workers, a simulated provider. Each scenario is one job;
what became of it is read from the database and from the provider's own log alone.
"""

import argparse
import json
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import redis

from bench.clock import Clock, faketime
from bench.small_disk import small_disk
from firstline.orchestrator import api
from tests.acceptance.processes import Deployment, running
from tests.acceptance.workload import Findings, Paid, check, in_flight, items, request, script
from tests.servers import Missing, Postgres, RedisServer, postgresql

LATENCY_S = 0.2
STEPS = 3
#: Seconds that an outage lasts.
OUTAGE_S = 10.0


@dataclass
class Blow:
    """Something that was done to the deployment, and the calls that it may have cost."""

    what: str
    at: float
    #: Calls on their way, or answered and not yet on record.
    in_flight: Callable[[Paid], int]
    #: The tier that lost a worker.
    tier: str | None = None


@dataclass
class Scene:
    """A deployment under a job, as a scenario sees it."""

    deployment: Deployment
    postgres: Postgres | None
    clock: Clock | None
    job: str
    first_line: int
    count: int
    kill_every_s: float
    ended: threading.Event = field(default_factory=threading.Event)
    blows: list[Blow] = field(default_factory=list)
    random: Random = field(default_factory=lambda: Random(11))

    @property
    def redis(self) -> redis.Redis:
        """A client of the deployment's Redis."""
        return redis.Redis(port=self.deployment.redis.port)

    def wait(self, seconds: float) -> bool:
        """Wait; return whether the job goes on."""
        return not self.ended.wait(seconds)

    def wait_until_share(self, share: float) -> None:
        """Wait until so much of the job is done."""
        while self.wait(0.2) and api.status(self.job).ended_items < share * self.count:
            pass

    def paid(self) -> Paid:
        """Return what the provider has logged since the job began."""
        return self.deployment.paid()[self.first_line :]

    def strike(self, what: str, *, tier: str | None = None, before_s: float = 0.0, outstanding: int = 0) -> None:
        """Note a blow before it falls."""
        at = time.time()

        def flying(paid: Paid) -> int:
            return outstanding + in_flight(paid, at, model=tier, latency_s=LATENCY_S, before_s=before_s)

        self.blows.append(Blow(what, at, flying, tier))


def undisturbed(scene: Scene) -> None:
    """Nothing happens: the time that the others are measured by."""


def kills(scene: Scene) -> None:
    """Kill a worker or an orchestrator with SIGKILL, every five seconds."""
    names = [name for name in scene.deployment.children if name != "simulator"]
    while scene.wait(scene.kill_every_s):
        name = scene.random.choice(names)
        scene.strike(f"kill {name}", tier=name.split("-")[1] if name.startswith("worker") else None)
        scene.deployment.kill(name)


def redis_killed(scene: Scene) -> None:
    """Redis is killed and started again with its append-only file, which may lack the last second."""
    scene.wait_until_share(0.3)
    scene.strike("kill redis", before_s=1.0)
    scene.deployment.redis.kill()
    scene.wait(2)
    scene.deployment.redis.start()


def redis_wiped(scene: Scene) -> None:
    """Redis forgets everything in the middle of the job."""
    scene.wait_until_share(0.4)
    paid, recorded = len(scene.paid()), api.status(scene.job).attempts
    scene.strike("wipe redis", outstanding=max(0, paid - recorded))
    scene.redis.flushall()


def database_gone(scene: Scene) -> None:
    """Lock the database from elsewhere (SQLite) or stop it (PostgreSQL) for ten seconds."""
    scene.wait_until_share(0.3)
    scene.strike("database gone")
    if scene.postgres is not None:
        scene.postgres.stop()
        scene.wait(OUTAGE_S)
        scene.postgres.start()
        return
    connection = sqlite3.connect(scene.deployment.database_url.removeprefix("sqlite:///"), timeout=30)
    connection.execute("BEGIN EXCLUSIVE")
    time.sleep(OUTAGE_S)
    connection.rollback()
    connection.close()


def clock_steady(scene: Scene) -> None:
    """Nothing happens, under the library that sets clocks: the time that jumps are measured by."""
    if scene.clock is None:
        raise Missing("libfaketime (Debian's package of that name)")


def clock_jumps(scene: Scene) -> None:
    """Set the clock of workers and orchestrators an hour ahead, then an hour back from the true time."""
    if scene.clock is None:
        raise Missing("libfaketime (Debian's package of that name)")
    for share, offset in ((0.2, 3600), (0.5, -3600), (0.8, 0)):
        scene.wait_until_share(share)
        scene.strike(f"clock {offset:+d} s")
        scene.clock.set(offset)


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
    if scene.postgres is not None:
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


SCENARIOS: tuple[Callable[[Scene], None], ...] = (
    undisturbed,
    kills,
    redis_killed,
    redis_wiped,
    database_gone,
    clock_steady,
    clock_jumps,
    messages_repeated,
    disk_full,
)


#: A library under every call for the time is no part of the other scenarios.
_CLOCKED = (clock_steady, clock_jumps)


@dataclass(frozen=True)
class Outcome:
    """One scenario's figures."""

    name: str
    seconds: float
    findings: Findings
    blows: tuple[Blow, ...]
    in_flight: int
    #: Longest time from a blow to the next batch that is judged: the job goes on.
    silence_s: float | None
    #: Longest time from a worker's death to the next call on its tier, which may have had nothing to do meanwhile.
    tier_silence_s: float | None
    error: str | None = None


def play(scenario: Callable[[Scene], None], stage: "Stage", count: int) -> Outcome:
    """Run one job under one scenario and look at what became of it."""
    deployment = stage.deployment
    first_line, profile = len(deployment.paid()), deployment.profile()
    begun = time.monotonic()
    job = api.submit(
        request(profile, steps=STEPS, name=scenario.__name__.replace("_", "-")), items(count, of=scenario.__name__)
    )
    scene = Scene(deployment, stage.postgres, stage.clock, job, first_line, count, stage.kill_every_s)
    errors: list[str] = []

    def act() -> None:
        try:
            scenario(scene)
        except Missing as missing:
            errors.append(f"skipped: {missing}")

    actor = threading.Thread(target=act)
    actor.start()
    _follow(job, limit_s=600)
    seconds = time.monotonic() - begun
    scene.ended.set()
    actor.join()
    # A call whose answer came too late is still in the log of the provider, and its trail on the way.
    time.sleep(2)
    paid = scene.paid()
    findings = check(deployment.database_url, job, paid, steps=STEPS, profile=profile)
    flying = sum(blow.in_flight(paid) for blow in scene.blows)
    blows = tuple(scene.blows)
    # Where clocks jump, the provider's is the only one that is right.
    signs = [float(call["at"]) for call in paid] if scenario in _CLOCKED else findings.judged_at
    silence_s, tier_silence_s = _silence(blows, signs, after_s=0.5), _tier_silence(blows, paid)
    return Outcome(scenario.__name__, seconds, findings, blows, flying, silence_s, tier_silence_s, *errors)


def _follow(job: str, *, limit_s: float) -> None:
    from firstline.schemas.errors import InfrastructureError

    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        try:
            if api.status(job).state.ended:
                return
        except InfrastructureError:
            pass
        time.sleep(0.2)


def _silence(blows: tuple[Blow, ...], signs: Sequence[float], *, after_s: float) -> float | None:
    """Return the longest time from a blow to the next sign of life; blows that fell at the very end show none."""
    found = [min(later) - blow.at for blow in blows if (later := [at for at in signs if at > blow.at + after_s])]
    return max(found, default=None)


def _tier_silence(blows: tuple[Blow, ...], paid: Paid) -> float | None:
    """Return the longest time from a worker's death to the beginning of the next call on its tier."""
    begun = {
        tier: [float(call["at"]) - LATENCY_S for call in paid if call["model"] == tier]
        for tier in {blow.tier for blow in blows if blow.tier}
    }
    found = [_silence((blow,), begun[blow.tier], after_s=0.1) for blow in blows if blow.tier]
    return max((one for one in found if one is not None), default=None)


@dataclass
class Stage:
    """The deployment that all scenarios share."""

    deployment: Deployment
    postgres: Postgres | None
    clock: Clock | None
    kill_every_s: float


@contextmanager
def staged(options: argparse.Namespace, *, jumping: bool) -> Iterator[Stage]:
    """Start a deployment; its database is a small disk's SQLite file or a PostgreSQL server."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="firstline-chaos-")))
        postgres = stack.enter_context(postgresql()) if options.database == "postgresql" else None
        if postgres is not None:
            url = postgres.new_database("chaos")
        else:
            disk = stack.enter_context(small_disk(folder / "disk")) or folder
            url = f"sqlite:///{disk / 'firstline.db'}"
        clock = faketime(folder / "clock", library=options.faketime) if jumping else None
        binary = {"binary": options.redis} if options.redis else {}
        server = RedisServer(folder / "redis", **binary)
        deployment = Deployment(
            folder,
            url,
            script(LATENCY_S),
            server,
            env={"FIRSTLINE_LOG_LEVEL": "WARNING"},
            clocked=clock.env if clock else {},
            workers={"cheap": 2, "frontier": 1},
        )
        stack.enter_context(running(deployment))
        yield Stage(deployment, postgres, clock, options.kill_every)


def targets(outcomes: list[Outcome]) -> list[dict[str, object]]:
    """Return every figure with its target."""
    seconds = {one.name: one.seconds for one in outcomes}
    found: list[dict[str, object]] = []
    for one in outcomes:
        if one.error:
            found.append({"name": f"{one.name}", "value": one.error, "target": "played", "met": None})
            continue
        what, seen = one.name, one.findings
        found += [
            _target(f"{what}: items lost", seen.lost, 0),
            _target(f"{what}: settled twice", seen.settled_twice, 0),
            _target(f"{what}: steps without an answer", seen.unsettled_steps, 0),
            _target(f"{what}: calls paid twice", seen.paid_twice, one.in_flight, why="calls in flight"),
            _target(f"{what}: paid calls not on record", seen.unrecorded, one.in_flight, why="calls in flight"),
            _target(f"{what}: dollars off", round(seen.off_usd, 9), 1e-6),
        ]
        if one.silence_s is not None:
            outage_s = OUTAGE_S if one.name in ("database_gone", "disk_full") else 0.0
            found.append(_target(f"{what}: longest silence, s", round(one.silence_s, 1), 10.0 + outage_s))
        calm = seconds.get("clock_steady" if one.name == "clock_jumps" else "undisturbed")
        if calm is not None and one.name not in ("undisturbed", "clock_steady"):
            limit = 1.5 * calm + 10 * max(1, len(one.blows))
            found.append(_target(f"{what}: total time, s", round(one.seconds, 1), round(limit, 1)))
    return found


def _target(name: str, value: float, limit: float, *, why: str = "") -> dict[str, object]:
    return {"name": name, "value": value, "target": f"<= {limit}{f' ({why})' if why else ''}", "met": value <= limit}


_MARKS: dict[object, str] = {None: "-", True: "ok", False: "NO"}


def main(argv: list[str] | None = None) -> int:
    """Play the scenarios; return 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="400 items instead of 2,000")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--redis", help="another server's binary, such as Debian's /usr/bin/redis-server")
    parser.add_argument(
        "--kill-every", type=float, default=5.0, metavar="S", help="seconds between two kills (default 5)"
    )
    parser.add_argument("--faketime", help="libfaketimeMT.so.1, where it is not installed in its usual place")
    parser.add_argument(
        "--only", action="append", default=[], help="play only this scenario; may be given more than once"
    )
    options = parser.parse_args(argv)
    chosen = [one for one in SCENARIOS if not options.only or one.__name__ in options.only]
    count = 400 if options.quick else 2000
    outcomes = []
    calm, jumping = ([one for one in chosen if (one in _CLOCKED) is wanted] for wanted in (False, True))
    for group in filter(None, (calm, jumping)):
        with staged(options, jumping=group is jumping) as stage:
            for scenario in group:
                outcomes.append(play(scenario, stage, count))
                if not options.json:
                    print(_line(outcomes[-1]), flush=True)
    found = targets(outcomes)
    if options.json:
        print(json.dumps({"bench": "chaos", "database": options.database, "items": count, "targets": found}, indent=2))
    else:
        for one in found:
            print(f"{_MARKS[one['met']]:3} {one['name']}: {one['value']} ({one['target']})")
    return 0 if all(one["met"] is not False for one in found) else 1


def _line(one: Outcome) -> str:
    seen = one.findings
    return (
        f"{one.name}: {one.error or ''} {one.seconds:.1f} s, {len(one.blows)} blows, state {seen.state}, "
        f"lost {seen.lost}, paid {seen.paid}, twice {seen.paid_twice} (in flight {one.in_flight}), "
        f"unrecorded {seen.unrecorded}, silence {_shown(one.silence_s)} (a tier: {_shown(one.tier_silence_s)})"
    )


def _shown(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


if __name__ == "__main__":
    sys.exit(main())
