"""A watcher bears with a database that is away for a while."""

from contextlib import contextmanager

import pytest

from firstline.orchestrator import api
from firstline.schemas.errors import InfrastructureError
from firstline.schemas.job import JobRequest
from tests.unit.web_house import build_house


class Away:
    """A job's status that cannot be read for some looks."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    def __call__(self, job: str) -> object:
        self.left -= 1
        if self.left >= 0:
            raise InfrastructureError("the database did not answer")
        return type("Status", (), {"rests": True, "items": 1})()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(api.time, "sleep", lambda _: None)


def test_a_restart_of_the_database_ends_no_watching(monkeypatch):
    monkeypatch.setattr(api, "status", Away(5))
    assert [status.rests for status in api.watch("j")] == [True]


def test_a_database_that_stays_away_is_told(monkeypatch):
    monkeypatch.setattr(api, "status", Away(10**9))
    monkeypatch.setattr(api, "_OUTAGE_S", -1.0)
    with pytest.raises(InfrastructureError, match="did not answer"):
        list(api.watch("j"))


def test_results_are_read_to_their_end_by_who_is_patient(tmp_path, monkeypatch):
    build_house(tmp_path, monkeypatch)
    job = api.submit(JobRequest(workflow="two-steps"), [{"text": str(n)} for n in range(7)])
    monkeypatch.setattr(api, "_CHUNK", 3)
    reading, looks = api.engine().db.reading, iter(range(10**9))

    @contextmanager
    def shaky():
        if next(looks) % 3:
            raise InfrastructureError("the database did not answer")
        with reading() as tx:
            yield tx

    monkeypatch.setattr(api.engine().db, "reading", shaky)
    assert [given["text"] for given, _ in api.results_beside(job, patient=True)] == [str(n) for n in range(7)]
    with pytest.raises(InfrastructureError):
        list(api.results_beside(job))
