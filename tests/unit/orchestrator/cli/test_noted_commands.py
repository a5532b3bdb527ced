"""What is done on the command line stands in the audit log, as what is done over the API does."""

import json

import pytest

from firstline.orchestrator import api, cli
from firstline.orchestrator.cli._commands import _names, is_noted
from firstline.schemas.job import JobRequest
from tests.unit.web_house import build_house


@pytest.fixture
def job(tmp_path, monkeypatch):
    build_house(tmp_path, monkeypatch)
    return api.submit(JobRequest(workflow="sort"), [{"text": "x"}])


@pytest.fixture
def noted(capsys):
    """Run a command, and return the deeds that the log then holds, newest first."""

    def run(*words: str) -> list[tuple[str, str, str]]:
        cli.main(list(words))
        capsys.readouterr()
        assert cli.main(["audit-log", "--json"]) == 0
        return [(one["source"], one["action"], one["target"]) for one in json.loads(capsys.readouterr().out)]

    return run


def test_what_changes_something_is_noted_and_what_looks_is_not(job, noted):
    assert noted("status", job) == []
    assert noted("pause", job) == [("command line", "pause", job)]
    assert noted("budget") == noted("pause", job)[:1] == [("command line", "pause", job)]
    assert noted("budget", "--tenant", "a", "--per-day=5")[0] == ("command line", "budget", "--tenant a --per-day=5")
    assert noted("cancel", job)[0] == ("command line", "cancel", job)


def test_wrong_use_is_no_deed(job, noted):
    assert noted("cancel", "nope") == noted("cancel") == noted("cancel", "--help") == []


def test_no_password_is_kept_and_nothing_that_no_database_takes(job, noted):
    cli._note(["submit", "sort", "--input", "postgresql://ann:hush@db/x", "\udcff"])
    assert noted("status", job) == [("command line", "submit", "sort --input postgresql://***@db/x \ufffd")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", False),
        ("nobody", False),
        ("review list", False),
        ("review answer j i {}", True),
        ("review answer --help", False),
        ("review show j answer", False),
        ("prune --older-than 9d", True),
        ("prune --older-than 9d --dry-run", False),
        ("families set f --pin", True),
        ("families", False),
        ("budget j --raise 5", True),
        ("migrate", True),
    ],
)
def test_what_belongs_into_the_log(line, expected):
    assert is_noted(line.split()) is expected


def test_every_command_that_says_so_is_one():
    assert len([name for name in _names() if is_noted([name])]) >= 9
