"""The command: `python -m bench.chaos`."""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import bench.chaos
from bench.chaos import deaths, poison, postgres_troubles, redis_kinds, redis_troubles, sleepers
from bench.chaos.outcome import CLOCKED, Outcome, Scenario, is_steady, line, play, targets
from bench.chaos.rest import pulses
from bench.chaos.scene import LATENCY_S, Stage
from bench.clock import faketime
from bench.small_disk import small_disk
from tests.acceptance.processes import Deployment, running
from tests.acceptance.workload import script
from tests.proxy import Proxy
from tests.servers import postgresql

SCENARIOS: tuple[Scenario, ...] = (
    deaths.undisturbed,
    deaths.kills,
    deaths.redis_killed,
    deaths.redis_wiped,
    deaths.database_gone,
    deaths.clock_steady,
    deaths.clock_jumps,
    deaths.messages_repeated,
    deaths.disk_full,
    redis_troubles.redis_refuses,
    redis_troubles.redis_fails_over,
    redis_troubles.redis_half_open,
    redis_troubles.redis_paused,
    redis_troubles.redis_kills_clients,
    redis_troubles.redis_full,
    redis_troubles.redis_read_only,
    redis_troubles.redis_short_of_replicas,
    redis_troubles.redis_password_changed,
    sleepers.worker_asleep,
    sleepers.orchestrator_asleep,
    sleepers.all_asleep,
    redis_kinds.sentinel_elects,
    redis_kinds.password_rotated,
    poison.poisoned_checks,
    poison.poisoned_answers,
    *postgres_troubles.SCENARIOS,
)


#: Scenarios that a quick round has no time for, unless they are named.
_LONG = SCENARIOS[SCENARIOS.index(redis_troubles.redis_half_open) :]


def _is_left(scenario: Scenario, options: argparse.Namespace) -> bool:
    return bool(options.quick) and scenario in _LONG


@contextmanager
def staged(options: argparse.Namespace, *, jumping: bool) -> Iterator[Stage]:
    """Start a deployment; its database is a small disk's SQLite file or a PostgreSQL server."""
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="firstline-chaos-")))
        postgres = stack.enter_context(postgresql()) if options.database == "postgresql" else None
        database_way: Proxy | None = None
        if postgres is not None:
            database_way = stack.enter_context(_leading(postgres.port))
            url = postgres.new_database("chaos").replace(f":{postgres.port}/", f":{database_way.port}/")
        else:
            disk = stack.enter_context(small_disk(folder / "disk")) or folder
            url = f"sqlite:///{disk / 'firstline.db'}"
        clock = faketime(folder / "clock", library=options.faketime) if jumping else None
        binary = {"binary": options.redis} if options.redis else {}
        server, way, redis_url, env = stack.enter_context(redis_kinds.redis_of(options.kind, folder, binary))
        deployment = Deployment(
            folder,
            url,
            script(LATENCY_S),
            server,
            redis_url=redis_url,
            env={"FIRSTLINE_LOG_LEVEL": "WARNING", **env},
            clocked=clock.env if clock else {},
            workers={"cheap": 2, "frontier": 1},
            given=pulses(folder / "pulses"),
        )
        stack.enter_context(running(deployment))
        yield Stage(deployment, way, postgres, clock, options.kill_every, database_way)


def _rounds(scenario: Scenario, stage: Stage, count: int, rounds: int) -> Iterator[Outcome]:
    """Play a scenario so often, and on until its last rounds are steady, or it was played three times as often."""
    played: list[Outcome] = []
    for number in range(1, (3 if rounds > 1 else 1) * rounds + 1):
        played.append(play(scenario, stage, count))
        yield played[-1]
        if number >= rounds and (played[-1].error or is_steady(played[-rounds:])):
            return


@contextmanager
def _leading(port: int) -> Iterator[Proxy]:
    way = Proxy(port)
    way.start()
    try:
        yield way
    finally:
        way.stop()


_MARKS: dict[object, str] = {None: "-", True: "ok", False: "NO"}


def main(argv: list[str] | None = None) -> int:
    """Play the scenarios; return 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=bench.chaos.__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="400 items instead of 2,000, and no long blows")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--redis", help="another server's binary, such as Debian's /usr/bin/redis-server")
    parser.add_argument("--kind", choices=("plain", "tls", "managed", "sentinel"), default="plain", help="which Redis")
    parser.add_argument(
        "--kill-every", type=float, default=5.0, metavar="S", help="seconds between two kills (default 5)"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=1,
        help="play each so often, in a row (default 1), and on, up to three times as often, while a process holds more "
        "and more threads, connections or files: pools are filled as they are needed, a leak never ends",
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the processes' logs here")
    parser.add_argument("--faketime", help="libfaketimeMT.so.1, where it is not installed in its usual place")
    parser.add_argument(
        "--only", action="append", default=[], help="play only this scenario; may be given more than once"
    )
    options = parser.parse_args(argv)
    wanted = [one for one in SCENARIOS if one.__name__ in options.only or not (options.only or _is_left(one, options))]
    count = 400 if options.quick else 2000
    outcomes: list[Outcome] = []
    calm, jumping = ([one for one in wanted if (one in CLOCKED) is jumps] for jumps in (False, True))
    for group in filter(None, (calm, jumping)):
        with staged(options, jumping=group is jumping) as stage:
            for scenario in group:
                for outcome in _rounds(scenario, stage, count, options.rounds):
                    outcomes.append(outcome)
                    if not options.json:
                        print(line(outcome), flush=True)
    found = targets(outcomes, rounds=options.rounds)
    if options.json:
        print(json.dumps({"bench": "chaos", "database": options.database, "items": count, "targets": found}, indent=2))
    else:
        for one in found:
            print(f"{_MARKS[one['met']]:3} {one['name']}: {one['value']} ({one['target']})")
    return 0 if all(one["met"] is not False for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
