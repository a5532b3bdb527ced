"""A PostgreSQL that is silent: who waits notices whether anybody works for it, and the slot is free again."""

import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import make_url, text

from firstline.orchestrator.store import postgres_peer
from firstline.orchestrator.store.database import Database
from firstline.schemas.errors import InfrastructureError
from tests.proxy import Proxy
from tests.servers import Postgres

#: Seconds that a connection waits before it asks here, and in which it has noticed.
PATIENCE_S, SOON_S = 0.5, 10.0


@pytest.fixture
def way(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setattr(postgres_peer, "PATIENCE_S", PATIENCE_S)
    monkeypatch.setattr(postgres_peer, "ASKED_S", 2)
    proxy = Proxy(postgres.port)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def database(postgres: Postgres, way: Proxy) -> Iterator[Database]:
    direct = make_url(postgres.new_database(f"t{secrets.token_hex(6)}"))
    found = Database(direct.set(host="127.0.0.1", port=way.port).render_as_string(hide_password=False))
    yield found
    found.close()


def asked(database: Database, statement: str, meanwhile: threading.Event, met: threading.Event) -> object:
    with database.writing() as tx:
        tx.execute(text("SELECT 1"))
        meanwhile.set()
        met.wait()
        return tx.scalar(text(statement))


def under_way(pool: ThreadPoolExecutor, database: Database, way: Proxy, statement: str) -> "Future[object]":
    """Return what comes of a statement that is sent when nothing passes any more."""
    meanwhile, met = threading.Event(), threading.Event()
    asking = pool.submit(asked, database, statement, meanwhile, met)
    meanwhile.wait()
    way.swallow()
    met.set()
    return asking


def test_a_connection_whose_bytes_are_swallowed_is_given_up_and_the_next_one_is_good(
    database: Database, way: Proxy
) -> None:
    with ThreadPoolExecutor() as pool:
        asking = under_way(pool, database, way, "SELECT 2")
        time.sleep(PATIENCE_S / 2)
        way.pass_on()
        with pytest.raises(InfrastructureError, match="the connection is lost"):
            asking.result(timeout=SOON_S)
    with database.reading() as tx:
        assert tx.scalar(text("SELECT 3")) == 3


def test_while_nothing_passes_nobody_waits_for_ever(database: Database, way: Proxy) -> None:
    with ThreadPoolExecutor() as pool, pytest.raises(InfrastructureError, match="takes no new connection within 2 s"):
        under_way(pool, database, way, "SELECT 2").result(timeout=SOON_S)


def test_a_pooled_connection_that_leads_nowhere_is_replaced(database: Database, way: Proxy) -> None:
    with database.reading() as tx:
        tx.execute(text("SELECT 1"))
    way.swallow()
    way.pass_on()
    begun = time.monotonic()
    with database.reading() as tx:
        assert tx.scalar(text("SELECT 2")) == 2
    assert time.monotonic() - begun < SOON_S


def test_a_statement_that_takes_its_time_is_waited_for(database: Database) -> None:
    with database.reading() as tx:
        assert tx.scalar(text("SELECT 4 FROM pg_sleep(:seconds)"), {"seconds": 4 * PATIENCE_S}) == 4


def test_who_waits_for_a_lock_is_let_wait(database: Database) -> None:
    with database.writing() as tx:
        tx.exec_driver_sql("CREATE TABLE held (n int)")
    with ThreadPoolExecutor() as pool:
        with database.writing() as tx:
            tx.exec_driver_sql("LOCK TABLE held")
            asking = pool.submit(_count, database)
            time.sleep(4 * PATIENCE_S)
            assert not asking.done()
        assert asking.result(timeout=SOON_S) == 0


def _count(database: Database) -> object:
    with database.reading() as tx:
        return tx.scalar(text("SELECT count(*) FROM held"))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"connect_timeout": "10", "keepalives_idle": "30", "tcp_user_timeout": "60000"}),
        ("?keepalives_idle=7&connect_timeout=3", {"connect_timeout": "3", "keepalives_idle": "7"}),
    ],
)
def test_connections_are_kept_alive_as_their_url_says_or_as_we_do(
    postgres: Postgres, query: str, expected: dict[str, str]
) -> None:
    database = Database(postgres.new_database(f"t{secrets.token_hex(6)}") + query)
    with database.reading() as tx:
        driver = tx.connection.driver_connection
        assert driver is not None
        given = driver.info.get_parameters()
    assert {name: given.get(name) for name in expected} == expected
    database.close()
