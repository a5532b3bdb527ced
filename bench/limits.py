"""Measure how much of a provider's limits is used and how often it says 429, with 1, 2 and 4 worker processes.

`python -m bench.limits [--quick] [--json] [--seconds 60]`

Real processes, as in `bench.chaos`: an orchestrator and so many workers of one tier, each with a gate of its own; they
share the limits through Redis alone. The simulator plays a strict provider: its buckets hold no more than one second's
worth of the minute's allowance, so that a burst of a second and a half is refused. Counted is what the simulator took
(the tokens of prompt and `max_tokens`, as it counts them) and refused, in a window that begins a few seconds after the
first call.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
import yaml

from firstline.orchestrator import api
from firstline.schemas.base import JsonObject
from firstline.schemas.job import JobRequest, Options
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile
from tests.acceptance.processes import Deployment, running
from tests.servers import RedisServer

#: What must be reached: share of the allowance, share of calls answered 429.
USED, REFUSED = 0.95, 0.01
#: Seconds after the first call that do not count: the bucket that was full gives a little more than the allowance.
SETTLING_S = 3.0
MAX_TOKENS = 64
PROCESSES = (1, 2, 4)


@dataclass(frozen=True)
class Case:
    """One provider: its limits, and how many tokens of prompt the items have."""

    name: str
    requests_per_minute: int
    tokens_per_minute: int
    item_tokens: tuple[int, int]
    #: Calls in flight over all processes.
    calls: int = 96

    @property
    def model(self) -> str:
        """The simulated model that has these limits."""
        return self.name.replace(" ", "-")

    def items(self, seconds: float) -> Iterator[JsonObject]:
        """Yield more items than the limits let through in so many seconds; no two are alike."""
        rng = random.Random(self.name)
        a_call = sum(self.item_tokens) / 2 + MAX_TOKENS
        rate = min(self.requests_per_minute, self.tokens_per_minute / a_call) / 60
        for n in range(round(2 * rate * seconds) + self.calls):
            yield {"id": str(n), "text": f"{n} " + "word" * rng.randint(*self.item_tokens)}


CASES = (
    Case("requests", 2_400, 10_000_000, (50, 400)),
    Case("tokens", 100_000, 600_000, (50, 450)),
    Case("large prompts", 100_000, 600_000, (500, 3_000), calls=48),
)


@dataclass(frozen=True)
class Counts:
    """What the provider had counted at a moment."""

    at: float
    calls: int
    refused: int
    tokens: int


@dataclass(frozen=True)
class Outcome:
    """What one case came to with so many processes."""

    case: str
    processes: int
    calls: int
    used: float
    refused: float

    def targets(self) -> list[dict[str, object]]:
        """Return the two figures with what they must reach."""
        name = f"{self.case}, {self.processes} process{'es' * (self.processes > 1)}"
        used = {"value": self.used, "target": f">= {USED}", "met": self.used >= USED}
        refused = {"value": self.refused, "target": f"< {REFUSED}", "met": self.refused < REFUSED}
        return [{"name": f"{name}: share of the allowance", **used}, {"name": f"{name}: share of 429", **refused}]


def measure(deployment: Deployment, case: Case, *, processes: int, seconds: float) -> Outcome:
    """Run one job against its provider for so long; then cancel it."""
    job = api.submit(_request(deployment, case, processes), case.items(seconds + SETTLING_S))
    while _counts(deployment, case).calls == 0:
        time.sleep(0.1)
    time.sleep(SETTLING_S)
    before = _counts(deployment, case)
    time.sleep(seconds)
    after = _counts(deployment, case)
    if api.status(job).settled == api.status(job).items:
        raise SystemExit(f"{case.name}: the job ended before its time was over; the limits were not held")
    api.cancel(job)
    return summarise(case, processes, before, after)


def summarise(case: Case, processes: int, before: Counts, after: Counts) -> Outcome:
    """Return the share of the allowance that was used, of the limit that was nearer, and the share of 429."""
    minutes, calls = (after.at - before.at) / 60, after.calls - before.calls
    refused = after.refused - before.refused
    used = max(
        (calls - refused) / (case.requests_per_minute * minutes),
        (after.tokens - before.tokens) / (case.tokens_per_minute * minutes),
    )
    return Outcome(case.name, processes, calls, round(used, 4), round(refused / calls, 4))


def _counts(deployment: Deployment, case: Case) -> Counts:
    stats = httpx.get(f"http://127.0.0.1:{deployment.sim_port}/stats").json()
    outcomes = stats["models"].get(case.model, {}).get("outcomes", {})
    answered = int(outcomes.get("200", 0))
    prompts = int(stats["models"].get(case.model, {}).get("input_tokens", 0))
    refused = int(outcomes.get("429", 0))
    return Counts(time.time(), answered + refused, refused, prompts + answered * MAX_TOKENS)


def _request(deployment: Deployment, case: Case, processes: int) -> JobRequest:
    limits = {"requests_per_minute": case.requests_per_minute, "tokens_per_minute": case.tokens_per_minute}
    model = {
        "name": f"openai/{case.model}",
        "api_base": f"http://127.0.0.1:{deployment.sim_port}/v1",
        "price": {"input": 0.1, "output": 0.4},
        "limits": limits,
        "params": {"max_tokens": MAX_TOKENS},
    }
    tier = {"name": "cheap", "concurrency": max(1, case.calls // processes), "models": [model]}
    skill = Skill.model_validate(
        {"name": "say", "instructions": "Say it.", "input": {"text": {}}, "output": {"type": "string"}}
    )
    workflow = Workflow(name="limits", steps=(Step(name="say", skill="say"),), skills=(skill,))
    profile = Profile.model_validate({"name": "strict", "tiers": [tier]})
    return JobRequest(workflow=workflow, profile=profile, options=Options(dedupe=False))


def _script() -> str:
    answer = {"kind": "fixed", "text": "an answer of some forty tokens " * 6}
    latency = {"kind": "lognormal", "median": 0.4, "p99": 1.5}
    return yaml.safe_dump(
        {"models": {case.model: {"answer": answer, "latency": latency, "limits": _limits(case)} for case in CASES}}
    )


def _limits(case: Case) -> JsonObject:
    return {
        "requests_per_minute": case.requests_per_minute,
        "tokens_per_minute": case.tokens_per_minute,
        "burst": 1 / 60,
    }


@contextmanager
def deployed(processes: int) -> Iterator[Deployment]:
    """Run an orchestrator and so many workers, against the strict provider."""
    with tempfile.TemporaryDirectory(prefix="firstline-limits-") as name:
        folder = Path(name)
        deployment = Deployment(
            folder,
            f"sqlite:///{folder / 'firstline.db'}",
            _script(),
            RedisServer(folder / "redis"),
            orchestrators=1,
            workers={"cheap": processes},
            env={"FIRSTLINE_LOG_LEVEL": "WARNING"},
        )
        with running(deployment):
            yield deployment


def main(argv: list[str] | None = None) -> int:
    """Measure every case; return 1 when a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="12 seconds a case instead of 60")
    parser.add_argument("--seconds", type=float, help="seconds a case")
    parser.add_argument("--json", action="store_true", help="print the targets as JSON")
    options = parser.parse_args(argv)
    seconds = options.seconds or (12.0 if options.quick else 60.0)
    targets: list[dict[str, object]] = []
    for processes in PROCESSES:
        with deployed(processes) as deployment:
            for case in CASES:
                outcome = measure(deployment, case, processes=processes, seconds=seconds)
                targets += outcome.targets()
                if not options.json:
                    print(
                        f"{case.name:14} {processes} process(es): {outcome.calls:5} calls, {outcome.used:6.1%} of the "
                        f"allowance, {outcome.refused:.2%} answered 429",
                        flush=True,
                    )
    if options.json:
        print(json.dumps({"bench": "limits", "targets": targets}, indent=2))
    return 0 if all(target["met"] for target in targets) else 1


if __name__ == "__main__":
    sys.exit(main())
