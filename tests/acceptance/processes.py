"""A whole deployment as real processes on this machine: killed at will, started again at once."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from firstline.config.settings import get_settings
from firstline.config.shared_state.redis import connect
from firstline.schemas.tier import Profile
from tests.acceptance.nursery import Born, knows
from tests.servers import RedisServer, free_port

_ROOT = Path(__file__).resolve().parents[2]
_POLL_S = 0.1

Process = subprocess.Popen[bytes] | Born


@dataclass
class Child:
    """A process that is started again whenever it ends."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    log: Path
    process: Process | None = None

    def start(self) -> None:
        self.process = started(self.argv, self.env, _ROOT, self.log)

    def send(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)

    @property
    def rss_mb(self) -> float:
        assert self.process is not None
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20


def started(argv: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> Process:
    """Start `MODULE ARGUMENTS...` in a session of its own; in tests it is forked, as pytest says in the environment."""
    module, *arguments = argv
    if "PYTEST_VERSION" in os.environ and knows(module):
        return Born(module, arguments, env, cwd, log)
    command = (sys.executable, "-m", module, *arguments)
    with log.open("ab") as into:
        return subprocess.Popen(command, env=dict(env), cwd=cwd, stdout=into, stderr=into, start_new_session=True)


@dataclass
class Deployment:
    """Redis, a simulated provider, orchestrators, and workers for each tier."""

    folder: Path
    database_url: str
    #: What the provider plays, in YAML; empty: there is none.
    script: str
    redis: RedisServer
    #: Where its processes find Redis; None: at its own port.
    redis_url: str | None = None
    orchestrators: int = 2
    #: Tier queue, or several between commas -> worker processes.
    workers: Mapping[str, int] = field(default_factory=lambda: {"cheap": 1, "frontier": 1})
    env: Mapping[str, str] = field(default_factory=dict)
    #: What only workers and orchestrators are given, such as a clock that can be set.
    clocked: Mapping[str, str] = field(default_factory=dict)
    #: What single processes are given, by the beginning of their names.
    given: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    sim_port: int = field(default_factory=free_port)
    children: dict[str, Child] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def paid_log(self) -> Path:
        """The provider's own log of paid calls."""
        return self.folder / "paid.jsonl"

    @property
    def settings(self) -> dict[str, str]:
        """The environment of its processes, and of a producer."""
        return {
            "FIRSTLINE_REDIS_URL": self.redis_url or self.redis.url,
            "FIRSTLINE_DATABASE_URL": self.database_url,
            "FIRSTLINE_STATE_DIR": str(self.folder),
            **self.env,
        }

    def profile(
        self, *, cheap: int = 64, frontier: int = 32, models: tuple[str, str] = ("cheap", "frontier")
    ) -> Profile:
        """A ladder of two simulated models with so many calls at once."""
        base = f"http://127.0.0.1:{self.sim_port}/v1"
        cheap_usd, frontier_usd = {"input": 0.1, "output": 0.4}, {"input": 5, "output": 20}
        tiers = (("cheap", models[0], cheap, cheap_usd), ("frontier", models[1], frontier, frontier_usd))
        return Profile.model_validate(
            {
                "name": "simulated",
                "tiers": [
                    {
                        "name": name,
                        "concurrency": concurrency,
                        "models": [{"name": f"openai/{model}", "api_base": base, "price": price, "logprobs": True}],
                    }
                    for name, model, concurrency, price in tiers
                ],
            }
        )

    def start(self) -> None:
        """Start everything and wait until workers and orchestrators take work."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.redis.start()
        (self.folder / "script.yaml").write_text(self.script)
        sim = ("firstline.workers.simulator.__main__", str(self.folder / "script.yaml"), "--port", str(self.sim_port))
        if self.script:
            self.add("simulator", *sim, "--log", str(self.paid_log))
        for n in range(self.orchestrators):
            self.add(f"orchestrator-{n}", "firstline.orchestrator.service.process")
        for queue, count in self.workers.items():
            for n in range(count):
                flags = [part for name in queue.split(",") for part in ("--queue", name)]
                self.add(f"worker-{queue}-{n}", "firstline.workers.process", *flags)
        for child in self.children.values():
            child.start()
        threading.Thread(target=self._revive, daemon=True).start()
        self.wait_for_workers(sum(self.workers.values()))

    def stop(self) -> None:
        self._stopping.set()
        for number, patience_s in ((signal.SIGTERM, 8.0), (signal.SIGKILL, 5.0)):
            for child in self.children.values():
                child.send(number)
            deadline = time.monotonic() + patience_s
            while any(self._lives(child) for child in self.children.values()) and time.monotonic() < deadline:
                time.sleep(_POLL_S)
        self.redis.kill()

    def kill(self, name: str) -> None:
        """SIGKILL a process; it is started again at once."""
        self.children[name].send(signal.SIGKILL)

    def change(self, kind: str, env: Mapping[str, str]) -> None:
        """Stop the processes of a kind as a roll-out does, and have them started again with something else in `env`."""
        for name, child in self.children.items():
            if name.startswith(kind):
                child.env = {**child.env, **env}
                child.send(signal.SIGTERM)

    def wait_for_workers(self, count: int, *, timeout_s: float = 240) -> None:
        """Wait until so many workers show signs of life."""
        client = connect(get_settings().redis_url)
        keys = get_settings().keys
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if sum(1 for _ in client.scan_iter(keys.heartbeat("*"), count=1000)) >= count:
                return
            time.sleep(_POLL_S)
        raise TimeoutError(f"{count} workers were not up within {timeout_s:.0f} s; see {self.folder}")

    def paid(self) -> list[dict[str, object]]:
        """The provider's log so far."""
        if not self.paid_log.exists():
            return []
        return [json.loads(line) for line in self.paid_log.read_text().splitlines()]

    def add(self, name: str, *module: str) -> None:
        """Have a module run as one of its processes, with the arguments that follow it."""
        clocked = {} if name == "simulator" else self.clocked
        env = {
            **os.environ,
            **self.settings,
            **clocked,
            "PYTHONPATH": os.pathsep.join((str(_ROOT / "src"), str(_ROOT))),
            **{key: text for kind, own in self.given.items() if name.startswith(kind) for key, text in own.items()},
        }
        self.children[name] = Child(name, module, env, self.folder / f"{name}.log")

    def _revive(self) -> None:
        while not self._stopping.wait(_POLL_S):
            for child in self.children.values():
                if not self._lives(child) and not self._stopping.is_set():
                    child.start()

    @staticmethod
    def _lives(child: Child) -> bool:
        return child.process is not None and child.process.poll() is None


@contextmanager
def running(deployment: Deployment) -> Iterator[Deployment]:
    """Run a deployment for the length of the block; this process's settings name it."""
    before = {name: os.environ.get(name) for name in deployment.settings}
    # Whoever ends a bench with SIGTERM ends its processes too.
    on_term = signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.update(deployment.settings)
    get_settings.cache_clear()
    try:
        deployment.start()
        yield deployment
    finally:
        deployment.stop()
        signal.signal(signal.SIGTERM, on_term)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        get_settings.cache_clear()
