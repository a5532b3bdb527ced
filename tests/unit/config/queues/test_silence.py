"""How a container tells whether its process takes messages, and what else only a deployment runs."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from celery.worker import state

from firstline.config.queues.app import make_app
from firstline.config.queues.liveness import DEAF_AFTER_S, pulse, silent_s
from firstline.config.queues.slot_watch import SlotWatch
from firstline.config.settings import Settings, get_settings
from firstline.orchestrator import cli
from firstline.orchestrator.monitoring.flower import main as flower
from firstline.orchestrator.monitoring.flower import require_authentication
from firstline.orchestrator.store.database import Database
from firstline.orchestrator.store.migrate import migrate
from firstline.schemas.errors import UserError

REDIS = "redis://127.0.0.1:9/0"


@pytest.fixture(autouse=True)
def fresh_settings():
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def settings(file: Path | None) -> Settings:
    return Settings(redis_url=REDIS, pulse_file=file, _env_file=None)


def test_silence_is_counted_from_the_last_message(tmp_path):
    file = tmp_path / "pulse"
    assert silent_s(settings(file)) is None
    file.touch()
    os.utime(file, (1000, 1000))
    assert silent_s(settings(file), clock=lambda: 1042.0) == 42


def test_without_a_file_there_is_nothing_to_ask():
    with pytest.raises(UserError, match="FIRSTLINE_PULSE_FILE is not set"):
        silent_s(settings(None))


@pytest.mark.parametrize(
    ("age_s", "code", "said"),
    [
        (2, 0, "a message came through "),
        (DEAF_AFTER_S + 5, 1, "no message came through for 3"),
        (None, 1, "no message came through yet"),
    ],
    ids=["it takes messages", "it went deaf", "it never took one"],
)
def test_health_is_an_exit_code_and_a_sentence(age_s, code, said, tmp_path, monkeypatch, capsys):
    file = tmp_path / "pulse"
    if age_s is not None:
        file.touch()
        changed = file.stat().st_mtime - age_s
        os.utime(file, (changed, changed))
    monkeypatch.setenv("FIRSTLINE_PULSE_FILE", str(file))
    assert cli.main(["health"]) == code
    assert said in "".join(capsys.readouterr())


@dataclass(frozen=True)
class Held:
    """A message that holds a slot."""

    id: str
    name: str = "firstline.judge"


def test_nobody_posts_pulses_unless_asked_to():
    assert pulse(make_app(settings(None)), settings(None), threads=1, watch=SlotWatch(60.0)) is None


def test_a_process_that_is_full_proves_itself_by_that(tmp_path, monkeypatch):
    its = settings(tmp_path / "deep" / "pulse")
    held: list[Held] = []
    own = pulse(make_app(its), its, threads=2, watch=SlotWatch(60.0, quiet_s=0.0, held=lambda: held))
    monkeypatch.setattr(state, "reserved_requests", {"one", "two"})
    held.append(Held("one"))
    # Nothing listens at its Redis: posting would fail.
    own.beat()
    assert silent_s(its) < 5


def test_a_process_whose_slots_are_stuck_proves_nothing(tmp_path, monkeypatch):
    its, held = settings(tmp_path / "pulse"), [Held("one"), Held("two")]
    watch = SlotWatch(60.0, quiet_s=0.0, held=lambda: held)
    own = pulse(make_app(its), its, threads=2, watch=watch)
    monkeypatch.setattr(state, "reserved_requests", {"one", "two"})
    watch.moves()
    own.beat()
    assert silent_s(its) is None


@pytest.mark.parametrize(
    ("address", "environ", "refused"),
    [
        ("127.0.0.1", {}, False),
        ("0.0.0.0", {"FLOWER_BASIC_AUTH": "ada:secret"}, False),
        ("0.0.0.0", {"FLOWER_AUTH": ".*@example.com"}, False),
        ("0.0.0.0", {}, True),
        ("0.0.0.0", {"FLOWER_BASIC_AUTH": ""}, True),
        ("192.0.2.1", {"FLOWER_PORT": "5555"}, True),
    ],
)
def test_flower_is_open_to_this_machine_alone_unless_it_asks_who_is_there(address, environ, refused):
    if not refused:
        require_authentication(address, environ)
        return
    with pytest.raises(UserError, match="FLOWER_BASIC_AUTH=USER:PASSWORD"):
        require_authentication(address, environ)


def test_flower_that_would_be_open_does_not_start(monkeypatch, capsys):
    monkeypatch.delenv("FLOWER_BASIC_AUTH", raising=False)
    monkeypatch.delenv("FLOWER_AUTH", raising=False)
    monkeypatch.setenv("FIRSTLINE_REDIS_URL", REDIS)
    assert flower(["--address", "0.0.0.0"]) == 2
    assert "everyone who reaches 0.0.0.0" in capsys.readouterr().err


def test_migrate_makes_the_tables_and_may_be_run_again(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'firstline.db'}"
    monkeypatch.setenv("FIRSTLINE_DATABASE_URL", url)
    assert cli.main(["migrate"]) == 0
    assert cli.main(["migrate"]) == 0
    database = Database(url)
    with database.reading() as tx:
        assert tx.exec_driver_sql("SELECT count(*) FROM job").scalar_one() == 0
    database.close()


def test_migrate_refuses_a_database_that_is_newer(tmp_path, monkeypatch, capsys):
    url = f"sqlite:///{tmp_path / 'firstline.db'}"
    database = Database(url)
    migrate(database)
    with database.writing() as tx:
        tx.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    monkeypatch.setenv("FIRSTLINE_DATABASE_URL", url)
    assert cli.main(["migrate"]) == 2
    assert "newer than this code knows" in capsys.readouterr().err
