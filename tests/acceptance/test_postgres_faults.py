"""One job beneath which PostgreSQL is killed, locked and used up: nothing is lost, paid twice or leaked."""

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from firstline.orchestrator import api
from firstline.schemas.job import JobState
from tests.acceptance.postgres_faults import FAULTS
from tests.acceptance.processes import Deployment, running
from tests.acceptance.workload import check, items, request, script
from tests.servers import Missing, Postgres, RedisServer, postgresql

STEPS, LATENCY_S = 2, 0.5
#: Seconds that each fault lasts, and that pass until the next one.
FAULT_S, REST_S = 1.5, 1.0
#: Connections that an orchestrator or a producer may keep.
POOL = 24
pytestmark = [pytest.mark.timeout(300), pytest.mark.long]


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[tuple[Deployment, Postgres]]:
    try:
        with postgresql() as server:
            deployment = Deployment(
                tmp_path,
                server.new_database("firstline"),
                script(LATENCY_S),
                RedisServer(tmp_path / "redis"),
                orchestrators=1,
                workers={"cheap,frontier": 1},
                env={"FIRSTLINE_LOG_LEVEL": "WARNING"},
            )
            with running(deployment):
                yield deployment, server
    except Missing as missing:
        pytest.skip(f"not installed: {missing}")


def test_a_job_goes_on_through_whatever_befalls_its_postgresql(deployed: tuple[Deployment, Postgres]) -> None:
    deployment, server = deployed
    profile = deployment.profile(cheap=16, frontier=8)
    job = api.submit(request(profile, steps=STEPS, name="trouble"), items(900, of="trouble"))
    while api.status(job).settled < 20:
        time.sleep(0.1)
    for name, fault in FAULTS.items():
        assert api.status(job).state is JobState.RUNNING, f"it was over before: {name}"
        fault(server, "firstline", FAULT_S)
        time.sleep(REST_S)
    *_, last = api.watch(job)
    found = check(deployment.database_url, job, deployment.paid(), steps=STEPS, profile=profile)
    assert last.state is JobState.DONE
    assert (found.lost, found.settled_twice, found.unsettled_steps, found.paid_twice, found.unrecorded) == (0,) * 5
    assert found.off_usd < 1e-6
    with psycopg.connect(host="127.0.0.1", port=server.port, user="owner", dbname="postgres") as mine:
        kept = mine.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = 'firstline'").fetchone()
    assert kept is not None
    assert kept[0] <= 2 * POOL
    for log in deployment.folder.glob("*.log"):
        assert "Traceback" not in log.read_text("utf-8"), log
