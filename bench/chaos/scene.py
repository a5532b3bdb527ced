"""A deployment under a job, as a scenario sees it, and the blows that it deals."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

import redis

from bench.clock import Clock
from firstline.orchestrator import api
from firstline.schemas.errors import InfrastructureError
from tests.acceptance.processes import Deployment
from tests.acceptance.workload import Paid, in_flight
from tests.proxy import Proxy
from tests.servers import Postgres, RedisServer

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
    #: When it was over, for one that lasts.
    over_at: float | None = None

    @property
    def behind(self) -> float:
        """From when on the job is to go on."""
        return self.at if self.over_at is None else self.over_at


@dataclass
class Stage:
    """The deployment that all scenarios share; `way` leads its processes to Redis, another one to PostgreSQL."""

    deployment: Deployment
    way: Proxy
    postgres: Postgres | None
    clock: Clock | None
    kill_every_s: float
    database_way: Proxy | None = None


@dataclass
class Scene:
    """A stage with a job on it."""

    stage: Stage
    job: str
    first_line: int
    count: int
    ended: threading.Event = field(default_factory=threading.Event)
    blows: list[Blow] = field(default_factory=list)
    random: Random = field(default_factory=lambda: Random(11))
    #: Figures of this scenario alone, with the most that each may be; and what is worth a line.
    figures: list[tuple[str, float, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def deployment(self) -> Deployment:
        """The deployment."""
        return self.stage.deployment

    @property
    def server(self) -> RedisServer:
        """The deployment's Redis."""
        return self.deployment.redis

    @property
    def redis(self) -> redis.Redis:
        """A client of the deployment's Redis, past the way that its processes take."""
        return redis.Redis(port=self.server.port)

    def wait(self, seconds: float) -> bool:
        """Wait; return whether the job goes on."""
        return not self.ended.wait(seconds)

    def wait_until_share(self, share: float) -> None:
        """Wait until so much of the job is done."""
        while self.wait(0.2) and self._ended_items() < share * self.count:
            pass

    def _ended_items(self) -> int:
        try:
            return api.status(self.job).ended_items
        except InfrastructureError:
            return 0

    def tell(self, name: str, value: float, limit: float) -> None:
        """Keep a figure that must not be above its limit."""
        self.figures.append((name, value, limit))

    def note(self, line: str) -> None:
        """Keep a line for whoever reads the outcome."""
        self.notes.append(line)

    def paid(self) -> Paid:
        """Return what the provider has logged since the job began."""
        return self.deployment.paid()[self.first_line :]

    def strike(self, what: str, *, tier: str | None = None, before_s: float = 0.0, outstanding: int = 0) -> Blow:
        """Note a blow before it falls."""
        at = time.time()

        def flying(paid: Paid) -> int:
            return outstanding + in_flight(paid, at, model=tier, latency_s=LATENCY_S, before_s=before_s)

        self.blows.append(Blow(what, at, flying, tier))
        return self.blows[-1]

    @contextmanager
    def lasting(self, what: str, *, before_s: float = 0.0) -> Iterator[None]:
        """Note a blow that lasts as long as the block; calls that are on their way when it ends count, too."""
        at = time.time()

        def flying(paid: Paid) -> int:
            ends = ((at, before_s), (blow.behind, 0.0))
            return sum(in_flight(paid, end, latency_s=LATENCY_S, before_s=s) for end, s in ends)

        blow = Blow(what, at, flying)
        self.blows.append(blow)
        try:
            yield
        finally:
            blow.over_at = time.time()
