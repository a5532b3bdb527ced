"""Beside a long past no job, sweep, report or page reads a large table from end to end: PostgreSQL's own plans."""

import secrets
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.core import tokens
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine.lifecycle import start
from firstline.orchestrator.money import budgets
from firstline.orchestrator.service import sweep
from firstline.orchestrator.service.prune import prune
from firstline.orchestrator.store import decisions
from firstline.orchestrator.store.item_lists import ItemOrder
from firstline.orchestrator.store.quality_tables import AuditRow
from firstline.orchestrator.store.tables import AttemptRow
from firstline.orchestrator.web.app import make_app
from firstline.schemas.access import Role
from firstline.schemas.attempt import ErrorKind
from firstline.schemas.batch import Batch, Todo
from firstline.schemas.job import JobState, Rerun
from firstline.schemas.plan import Step
from firstline.schemas.policy import Policy
from firstline.schemas.verdict import Defer, DeferCause, Escalate, Parked, Reject, Review
from tests.integration.jobs import SKILL, age, begun, change, submitted, work
from tests.integration.past import multiply
from tests.integration.read_plans import ReadPlans
from tests.servers import Postgres
from tests.unit.web_house import filled, furnish, routes

#: Tables that grow with every item that was ever answered.
LARGE = ("attempt", "item", "subtask", "batch", "shard", "audit", "outcome", "decision")
#: The first job's items; what it is multiplied by within a job, and by how many jobs.
ITEMS, TIMES, JOBS = 20, 28, 200
#: What is meant to read all there is.
MEANT = (
    # The gauges of audits, once a minute.
    "FROM audit GROUP BY audit.state, audit.agrees",
    # What was ever audited, and how much of it was accepted since it was calibrated: the page of quality.
    "SELECT DISTINCT audit.tenant, audit.skill, audit.skill_digest, audit.model",
    "SELECT attempt.model, count(*) AS count_1 FROM attempt JOIN job",
    # What a tenant has ever spent, for a budget over all time.
    "SELECT sum(item.cost_usd) AS sum_1 FROM item JOIN job",
    # Which outcomes are among the newest of their skill and model: pruning, once a day at most.
    "DELETE FROM outcome WHERE outcome.id IN (SELECT anon_1.id FROM (SELECT outcome.id AS id, row_number()",
)


@pytest.fixture(scope="module")
def deployment(
    redis_url: str, postgres: Postgres, postgres_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Context]:
    """An orchestrator's engine on a database in which 200 jobs of 560 items and 1,000 attempts lie."""
    home = furnish(tmp_path_factory.mktemp("house") / "home")
    with pytest.MonkeyPatch.context() as patch:
        told = {
            "REDIS_URL": redis_url,
            "DATABASE_URL": postgres.new_database(f"t{secrets.token_hex(6)}", how=f"TEMPLATE {postgres_template}"),
            "NAMESPACE": f"t{secrets.token_hex(6)}",
            "HOME": str(home),
            "PROFILE": "house",
            "STATE_DIR": str(home.parent / "state"),
            "API_REQUESTS_PER_MINUTE": "1000000",
        }
        for name, value in told.items():
            patch.setenv(f"FIRSTLINE_{name}", value)
        get_settings.cache_clear()
        engine = Context(get_settings())
        job = _first(engine)
        with engine.db.writing() as tx:
            multiply(tx, job=job, items=ITEMS, jobs=JOBS, times=TIMES)
        yield engine
        engine.db.close()
        engine.redis.close()
        api.engine().db.close()
    get_settings.cache_clear()


def _first(engine: Context) -> str:
    """Return the job that is copied: most answers climbed, one item failed, what was accepted at once was audited."""
    policy = Policy(start="cheap", audit_share=1.0)
    job = submitted(ITEMS, steps=[Step(name="s0", skill="sort", policy=policy)])
    start(engine, job)

    def deal(item: int, todo: Todo) -> Parked | None:
        if item % 5 and todo.n == 0:
            return Escalate(reason="unsure")
        return Reject(reason="no good") if item == 1 else None

    work(engine, job, deal, call=_of_skill)
    change(engine, AttemptRow, {"error": ErrorKind.OFF_SCHEMA.value}, job=job, verdict="escalate")
    change(engine, AuditRow, {"state": "done", "agrees": True, "audit_job": job}, job=job)
    with engine.db.writing() as tx:
        decisions.note(tx, job=job, kind="review", by="person", choice="accept")
        # Of few items each travels alone; a large job's batches carry twenty.
        tx.execute(text("DELETE FROM batch WHERE job = :job AND items::text NOT IN ('[0]', '[1]')"), {"job": job})
        tx.execute(text("DELETE FROM outcome WHERE job = :job AND id > 4"), {"job": job})
    return job


def _of_skill(_batch: Batch) -> dict[str, str]:
    return {"skill": "sort", "skill_digest": SKILL.digest}


@pytest.fixture
def plans(deployment: Context) -> Iterator[ReadPlans]:
    """Watches what a test asks of the database, and fails it for what reads too much."""
    plans = ReadPlans(LARGE, meant=MEANT)
    with deployment.db.reading() as tx:
        plans.learn(tx)
    with plans.watched():
        yield plans
    assert plans.seen
    assert plans.found == []


def test_all_of_these_tables_are_large(deployment: Context) -> None:
    with deployment.db.reading() as tx:
        counts = {name: tx.scalar(text(f"SELECT count(*) FROM {name}")) for name in LARGE}
    assert counts["item"] >= 100_000, counts
    assert counts["attempt"] >= 200_000, counts
    assert min(counts.values()) >= 5_000, counts


def test_a_job_runs_to_its_end(deployment: Context, plans: ReadPlans) -> None:
    def deal(item: int, todo: Todo) -> Parked | None:
        if item % 7 == 0 and todo.n == 0:
            return Escalate(reason="unsure")
        parked: dict[int, Parked] = {
            1: Review(reason="a person is asked"),
            2: Reject(reason="no good"),
            3: Defer(cause=DeferCause.LIMIT, reason="a limit", wait_s=60),
        }
        return parked.get(item)

    job = begun(deployment, 45)
    work(deployment, job, deal, call=_of_skill)
    budgets.allow(deployment, "default", per_day_usd=1000, total_usd=100_000)
    for act in (api.pause, api.resume, api.pause, api.retry, api.report, api.decisions, api.cancel):
        plans.doing = act.__name__
        act(job)
    api.explained([api.status(job)])
    assert len(list(api.results(job))) == 45


def test_a_job_takes_over_what_has_not_changed(deployment: Context, plans: ReadPlans) -> None:
    policy = Policy(start="cheap", audit_share=1.0)
    job = submitted(ITEMS, steps=[Step(name="s0", skill="sort", policy=policy)], rerun=Rerun.CHANGED)
    assert api.status(job).settled == ITEMS - 1


@pytest.mark.parametrize("duty", [duty for _, _, duty in sweep._DUTIES], ids=lambda duty: duty.__name__)
def test_a_sweep_does_its_duty(deployment: Context, plans: ReadPlans, duty: Callable[[Context], object]) -> None:
    age(deployment, begun(deployment, 30))
    api.pause(begun(deployment, 3))
    plans.doing = duty.__name__
    duty(deployment)


def test_a_job_of_long_ago_is_removed(deployment: Context, plans: ReadPlans) -> None:
    assert prune(deployment, age=timedelta(days=JOBS - 0.5), states=[JobState.DONE]) == [f"past-{JOBS}"]


@pytest.mark.parametrize("tenant", [None, "other"])
def test_every_page_and_route_is_shown(deployment: Context, plans: ReadPlans, tenant: str | None) -> None:
    app = make_app(get_settings(), loopback=True)
    client = TestClient(app, base_url="http://127.0.0.1")
    if tenant is not None:
        token, _ = tokens.create(api.engine().db, name="t", role=Role.OPERATOR, tenant=tenant, days=None)
        app.state.doors._any_token = (False, float("-inf"))
        client.headers["authorization"] = f"Bearer {token}"
        client.post("/login", data={"token": token})
    answers = {path: 0 for method, path in routes(app) if method == "GET"}
    for path in answers:
        plans.doing = f"GET {path}"
        answers[path] = client.get(filled(path, "past-8")).status_code
    of_jobs = {path: code for path, code in answers.items() if path.startswith(("/jobs", "/v1/jobs", "/quality"))}
    # One wants a kind of file, the others a step of the item that was asked by itself.
    wanting = {"/jobs/{job}/results.{kind}", "/jobs/{job}/items/{item}/again", "/v1/jobs/{job}/items/{item}/offers"}
    assert {path for path, code in of_jobs.items() if code >= 300} == wanting
    assert max(answers.values()) < 500
    for order in ItemOrder:
        plans.doing = f"items by {order}"
        assert client.get(f"/jobs/past-8/items?sort={order}&state=settled&tier=cheap&text=i1").status_code == 200
