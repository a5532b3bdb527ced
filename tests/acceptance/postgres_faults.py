"""What happens to a PostgreSQL server beneath a deployment, done on purpose; each fault has passed when it returns."""

import time
from collections.abc import Callable
from contextlib import suppress

import psycopg

from tests.servers import Postgres

_END_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"

#: A fault: done to this server's database of this name, for so many seconds.
Fault = Callable[[Postgres, str, float], None]


def _connected(server: Postgres, database: str) -> psycopg.Connection:
    return psycopg.connect(host="127.0.0.1", port=server.port, user="owner", dbname=database, autocommit=True)


def killed(server: Postgres, _: str, seconds: float) -> None:
    """Kill the server with all its backends; started again, it recovers from its log."""
    server.kill()
    time.sleep(seconds)
    server.start()


def backends_killed(server: Postgres, database: str, seconds: float) -> None:
    """End every connection to the database, again and again."""
    until = time.monotonic() + seconds
    with _connected(server, "postgres") as mine:
        while time.monotonic() < until:
            mine.execute(_END_ALL, (database,))
            time.sleep(0.5)


def tables_locked(server: Postgres, database: str, seconds: float) -> None:
    """Hold every table that work is written to, as a migration or a person at a prompt does."""
    with _connected(server, database) as mine, mine.transaction():
        mine.execute("LOCK TABLE job, item, subtask, batch, shard, attempt IN ACCESS EXCLUSIVE MODE")
        time.sleep(seconds)


def connections_exhausted(server: Postgres, database: str, seconds: float) -> None:
    """Take every connection that the server has, those of the deployment too."""
    until, taken = time.monotonic() + seconds, []
    with _connected(server, "postgres") as mine:
        while time.monotonic() < until:
            mine.execute(_END_ALL, (database,))
            with suppress(psycopg.OperationalError):
                while True:
                    taken.append(_connected(server, "postgres"))
            time.sleep(0.2)
        for one in taken:
            one.close()


def deadlocked(server: Postgres, database: str, seconds: float) -> None:
    """Lock items in another order than judges do, until PostgreSQL has ended a judge's transaction for it."""
    until, counted = time.monotonic() + seconds, "SELECT deadlocks FROM pg_stat_database WHERE datname = %s"
    query = "SELECT n FROM item WHERE state = 'pending' ORDER BY {} FOR UPDATE"
    with _connected(server, database) as mine, _connected(server, "postgres") as beside:
        # Who has waited for so long looks whether there is a deadlock, and is ended: judges after a second, by default.
        # Where a judge had looked before it was one, it is for us to look.
        mine.execute("SET deadlock_timeout = '5s'")
        while time.monotonic() < until or beside.execute(counted, (database,)).fetchone() == (0,):
            # A judge that has asked before may be the one that goes on.
            with suppress(psycopg.errors.DeadlockDetected), mine.transaction():
                mine.execute(f"{query.format('random()')} LIMIT 10")
                time.sleep(0.1)
                mine.execute(query.format("n DESC"))


def rows_locked(server: Postgres, database: str, seconds: float) -> None:
    """Hold the rows of running jobs, of half of their items and of these items' subtasks, as a person at a prompt does.

    The locks are asked for in the order in which judges take theirs, so that it waits and nobody is ended for it.
    """
    with _connected(server, database) as mine, mine.transaction():
        mine.execute("SELECT id FROM job WHERE state = 'running' ORDER BY id FOR UPDATE")
        mine.execute("SELECT n FROM item WHERE n % 2 = 0 ORDER BY job, n FOR UPDATE")
        mine.execute("SELECT item FROM subtask WHERE item % 2 = 0 ORDER BY job, item, step FOR UPDATE")
        time.sleep(seconds)


def _with_role(server: Postgres, database: str, seconds: float, setting: str, value: str) -> None:
    """Let all sessions to a database have a setting for some seconds: those of before are ended."""
    with _connected(server, "postgres") as mine:
        mine.execute(f"ALTER DATABASE {database} SET {setting} = '{value}'")
        mine.execute(_END_ALL, (database,))
        time.sleep(seconds)
        mine.execute(f"ALTER DATABASE {database} RESET {setting}")
        mine.execute(_END_ALL, (database,))


def statements_timed_out(server: Postgres, database: str, seconds: float) -> None:
    """Allow a statement 50 ms, while items are locked again and again for longer than that."""
    until = time.monotonic() + seconds
    with _connected(server, "postgres") as mine:
        mine.execute(f"ALTER DATABASE {database} SET statement_timeout = '50ms'")
        mine.execute(_END_ALL, (database,))
        try:
            with _connected(server, database) as beside:
                beside.execute("SET statement_timeout = 0")
                while time.monotonic() < until:
                    with beside.transaction():
                        beside.execute("LOCK TABLE item, subtask IN EXCLUSIVE MODE")
                        time.sleep(0.3)
                    time.sleep(0.1)
        finally:
            mine.execute(f"ALTER DATABASE {database} RESET statement_timeout")
            mine.execute(_END_ALL, (database,))


def serializations_failed(server: Postgres, database: str, seconds: float) -> None:
    """Have every second statement that changes a subtask fail as where transactions cannot be put in an order."""
    function = """
        CREATE FUNCTION unordered() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF random() < 0.5 THEN
                RAISE EXCEPTION 'could not serialize access due to concurrent update' USING ERRCODE = '40001';
            END IF;
            RETURN NULL;
        END $$"""
    with _connected(server, database) as mine:
        mine.execute(function)
        mine.execute(
            "CREATE TRIGGER unordered AFTER INSERT OR UPDATE ON subtask FOR EACH STATEMENT EXECUTE FUNCTION unordered()"
        )
        try:
            time.sleep(seconds)
        finally:
            mine.execute("DROP TRIGGER unordered ON subtask")
            mine.execute("DROP FUNCTION unordered")


def read_only(server: Postgres, database: str, seconds: float) -> None:
    """Take no writes, as a standby does that everybody was led to too early."""
    _with_role(server, database, seconds, "default_transaction_read_only", "on")


def stuck(server: Postgres, _: str, seconds: float) -> None:
    """Stop the server and all its backends without a word, and let them go on."""
    server.freeze()
    try:
        time.sleep(seconds)
    finally:
        server.thaw()


FAULTS: dict[str, Fault] = {
    "connections ended": backends_killed,
    "tables locked": tables_locked,
    "rows locked": rows_locked,
    "statements timed out": statements_timed_out,
    "serializations failed": serializations_failed,
    "read-only": read_only,
    "stuck": stuck,
    "deadlocks": deadlocked,
    "no connection left": connections_exhausted,
    "server killed": killed,
}
