"""The composition root of an orchestrator process or a producer: settings, database, broker."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import redis
from celery import Celery
from redis.exceptions import RedisError
from sqlalchemy import Connection

from firstline.config.queues.app import ORCHESTRATOR, PATIENCE_S, make_app
from firstline.config.settings import Settings
from firstline.config.shared_state.redis import connect
from firstline.config.telemetry.tracing import make_tracer
from firstline.orchestrator.core.batch_sizing import Pace
from firstline.orchestrator.core.counters import Tally
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.core.routes import Routes, laid_over
from firstline.orchestrator.store import jobs
from firstline.orchestrator.store.database import Database
from firstline.schemas.job import JobState, Options
from firstline.schemas.plan import Plan, Route
from firstline.schemas.tier import Profile
from firstline.workers.durability.claims import names_in, sign_of

if TYPE_CHECKING:
    from firstline.config.telemetry.otel import Tracer


@dataclass
class Context:
    """What steering needs, made once a process."""

    settings: Settings
    #: It only submits and asks, so it never waits long for Redis.
    producer: bool = False
    #: How long calls take of late.
    pace: Pace = field(default_factory=Pace)
    #: Counts of what this process judges.
    tally: Tally = field(default_factory=Tally)
    #: How measured costs bend jobs' ways up the ladder.
    routes: Routes = field(default_factory=Routes)
    _bent: dict[str, tuple[Plan, Mapping[str, Route], Plan]] = field(default_factory=dict)
    _workers: Counter[str] = field(default_factory=Counter)
    _counted_at: float = -10.0
    _parsed: dict[tuple[str, int], tuple[Plan, Profile, Options, tuple[str, ...]]] = field(default_factory=dict)

    @cached_property
    def app(self) -> Celery:
        """The Celery app."""
        return make_app(self.settings, producer=self.producer)

    @cached_property
    def db(self) -> Database:
        """The database."""
        return Database(self.settings.database)

    @cached_property
    def redis(self) -> redis.Redis:
        """A client for what is not a message."""
        return connect(self.settings.redis_url, patience_s=PATIENCE_S if self.producer else None)

    def hand_over(self) -> None:
        """Add what was counted here to the deployment's counters."""
        self.tally.flush(self.redis, self.settings.keys)

    @cached_property
    def tracer(self) -> "Tracer | None":
        """Makes spans where OpenTelemetry is asked for."""
        return make_tracer(self.settings, service=f"firstline-{'producer' if self.producer else 'orchestrator'}")

    def workers_of(self, queue: str) -> int:
        """Return how many live worker processes serve a queue, as of a second ago."""
        if time.monotonic() - self._counted_at > 1.0:
            self._workers, self._counted_at = self._count_workers(), time.monotonic()
        return self._workers[queue]

    def _count_workers(self) -> Counter[str]:
        keys = self.settings.keys
        try:
            names = [str(name) for name in self.redis.zrange(keys.workers, 0, -1)]
            texts = self.redis.mget([keys.heartbeat(name) for name in names]) if names else []
        except RedisError:
            return self._workers
        return Counter(queue for text in texts for queue in names_in(sign_of(text), "queues"))

    @property
    def orchestrators(self) -> str:
        """Name of the orchestrators' queue."""
        return self.settings.keys.queue(ORCHESTRATOR)

    def job(self, tx: Connection, job: str) -> Job:
        """Return a job; its plan is parsed once a version."""
        light = jobs.light(tx, job=job)
        key = (job, light["plan_version"])
        if key not in self._parsed:
            if len(self._parsed) > 200:
                self._parsed.clear()
            row = jobs.get(tx, job=job)
            self._parsed[key] = (
                Plan.model_validate(row["plan"]),
                Profile.model_validate(row["profile"]),
                Options.model_validate(row["options"]),
                tuple(row["folders"]),
            )
        plan, profile, options, folders = self._parsed[key]
        plan = self._routed(tx, job, plan)
        return Job(
            id=job,
            name=light["name"],
            state=JobState(light["state"]),
            reason=light["reason"],
            segment=light["segment"],
            items=light["items"],
            budget_usd=light["budget_usd"],
            tenant=light["tenant"],
            plan=plan,
            profile=profile,
            options=options,
            folders=folders,
            deadline=light["deadline"],
            shard_items=light["shard_items"],
        )

    def _routed(self, tx: Connection, job: str, plan: Plan) -> Plan:
        """Return a plan with the routes in force, made once for each of them."""
        routes = self.routes.of(tx, job)
        if not routes:
            return plan
        known = self._bent.get(job)
        if known is None or known[0] is not plan or known[1] is not routes:
            if len(self._bent) > 200:
                self._bent.clear()
            known = self._bent[job] = (plan, routes, laid_over(plan, routes))
        return known[2]
