"""A watcher bears with a database that is away for a while."""

import pytest

from firstline.orchestrator import api
from firstline.schemas.errors import InfrastructureError


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
