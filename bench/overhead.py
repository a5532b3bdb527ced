"""Measures what the machinery costs: CPU and time of short calls, beside bare litellm (the limit) and beside peers.

    python -m bench.overhead [--quick] [--json] [--peer NAME ...] [--no-peers] [--work FOLDER]

One simulated provider answers all contenders, one after the other, with the same prompts, schema and answers. Each
peer has an environment of its own (made with venv and pip, kept in ~/.cache/firstline/bench). Firstline runs as it is
deployed: a producer, Redis with its append-only file, an orchestrator, a worker, everything written before it counts.
Prints {"targets": [...]} with --json.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.kit.environments import NEEDS, Unavailable, folder, python_of
from bench.kit.figures import Target, at_most, finish, machine, parser, show
from bench.kit.stage import Stage, staged
from firstline.schemas.plan import Workflow
from firstline.schemas.tier import Structured
from firstline.workers.prompts.prompt import messages
from firstline.workers.providers.structured_output import ask

WORKER, ALL = 1.3, 1.8
#: Seconds that the simulated provider takes, and calls at once: the machine is the bottleneck, not the waiting.
LATENCY_S, AT_ONCE = 0.05, 64
_PEERS = Path(__file__).parent / "peers"
_PATIENCE_S = 900


@dataclass(frozen=True)
class Took:
    """What one contender took for its calls."""

    calls: int
    wall_s: float
    worker_cpu_s: float
    cpu_s: float

    @property
    def worker_ms(self) -> float:
        """Milliseconds of CPU a call of the process that makes the calls."""
        return 1000 * self.worker_cpu_s / self.calls

    @property
    def all_ms(self) -> float:
        """Milliseconds of CPU a call of all processes but the provider."""
        return 1000 * self.cpu_s / self.calls

    @property
    def rate(self) -> float:
        """Calls per second, end to end."""
        return self.calls / self.wall_s


def template(stage: Stage, path: Path) -> Path:
    """Write the call that all make, with THE-ITEM for the item's text, as Firstline's own workers make it."""
    workflow = stage.request().workflow
    assert isinstance(workflow, Workflow)
    skill = workflow.skills[0]
    asked = ask(Structured.JSON_SCHEMA, messages(skill, {"text": "THE-ITEM"}), skill.output, skill.name)
    call = {
        "model": "openai/cheap",
        "messages": asked.messages,
        "api_base": f"http://127.0.0.1:{stage.deployment.sim_port}/v1",
        "api_key": "none",
        **asked.params,
    }
    path.write_text(json.dumps(call))
    return path


def ours(stage: Stage, calls: int) -> Took:
    """Have Firstline make the calls as a job of one step."""
    run = stage.run(calls)
    return Took(calls, run.seconds, run.spent.worker, run.spent.total)


def theirs(peer: str, python: Path, call: Path, stage: Stage, calls: int) -> Took:
    """Have a contender make the calls; Unavailable where it cannot."""
    command = [str(python), str(_PEERS / f"{peer}.py"), str(call), "--calls", str(calls), "--at-once", str(AT_ONCE)]
    redis = stage.deployment.redis.url.removesuffix("/0") + "/1"
    try:
        done = subprocess.run(
            [*command, "--redis", redis], capture_output=True, text=True, timeout=_PATIENCE_S, check=True
        )
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"failed: {error.stderr.strip()[-300:]}") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"did not end within {_PATIENCE_S} s") from None
    return Took(**json.loads(done.stdout.strip().splitlines()[-1]))


def line(name: str, took: Took, limit: Took) -> str:
    """Return a row of the table; ratios are to the limit's run beside it."""
    return (
        f"{name:16} {took.calls:>6,} calls {took.wall_s:7.2f} s {took.rate:6,.0f}/s, CPU a call: "
        f"worker {took.worker_ms:6.2f} ms ({took.worker_ms / limit.worker_ms:.2f} x), "
        f"all {took.all_ms:6.2f} ms ({took.all_ms / limit.worker_ms:.2f} x)"
    )


def measure(options: argparse.Namespace) -> list[Target]:
    """Measure all contenders; return the targets."""
    calls, times = options.calls or (1000 if options.quick else 5000), 2 if options.quick else 3
    with staged(latency=LATENCY_S, concurrency=AT_ONCE) as stage:
        call = template(stage, stage.deployment.folder / "call.json")
        stage.run(200)
        pairs = []
        for _ in range(times):
            limit = theirs("bare", Path(sys.executable), call, stage, calls)
            mine = ours(stage, calls)
            pairs.append((limit, mine))
            show(line("bare litellm", limit, limit), options)
            show(line("firstline", mine, limit), options)
        found = against_limit(pairs)
        best = statistics.median(mine.rate for _, mine in pairs)
        typical = sorted((limit for limit, _ in pairs), key=lambda one: one.worker_ms)[len(pairs) // 2]
        for peer in options.peer:
            took = attempt(peer, options, call, stage, calls // 4 if options.quick else calls)
            show(line(peer, took, typical) if isinstance(took, Took) else f"{peer:16} {took}", options)
            found.append(faster(peer, took, best))
    return found


def against_limit(pairs: Sequence[tuple[Took, Took]]) -> list[Target]:
    """Return the ratios to the limit, the median over pairs that ran one after the other."""
    worker = statistics.median(mine.worker_ms / limit.worker_ms for limit, mine in pairs)
    every = statistics.median(mine.all_ms / limit.worker_ms for limit, mine in pairs)
    return [
        at_most("worker CPU a call over bare litellm", worker, WORKER),
        at_most("CPU of all processes a call over bare litellm", every, ALL),
    ]


def faster(peer: str, took: Took | Unavailable, rate: float) -> Target:
    """Return whether Firstline, at its rate, is faster end to end than a peer."""
    name = f"{peer}: its calls/s over Firstline's"
    if isinstance(took, Unavailable):
        return {"name": name, "value": f"not measured: {took}", "target": "<= 1", "met": None}
    return at_most(name, took.rate / rate, 1.0)


def attempt(peer: str, options: argparse.Namespace, call: Path, stage: Stage, calls: int) -> Took | Unavailable:
    """Measure a peer, in an environment that is made first where it may be."""
    try:
        python = python_of(peer, within=options.work, make=not options.quick or peer == "plain_celery")
        return theirs(peer, python, call, stage, calls)
    except Unavailable as reason:
        return reason


def main(argv: list[str] | None = None) -> int:
    """Measure; return 1 when a target was missed."""
    made = parser("overhead", __doc__ or "", "1,000 calls instead of 5,000; only peers whose environments are made")
    made.add_argument("--calls", type=int, help="calls of each contender")
    made.add_argument("--peer", action="append", choices=list(NEEDS), help="measure this peer; may be repeated")
    made.add_argument("--no-peers", action="store_true", help="bare litellm alone")
    made.add_argument("--work", type=Path, default=folder(), help="where the peers' environments are kept")
    options = made.parse_args(argv)
    options.peer = [] if options.no_peers else options.peer or list(NEEDS)
    seen = machine()
    show(seen, options)
    return finish({"bench": "overhead", "machine": seen, "targets": measure(options)}, options)


if __name__ == "__main__":
    sys.exit(main())
