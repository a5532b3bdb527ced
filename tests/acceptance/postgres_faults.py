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
        mine.execute("SET deadlock_timeout = '60s'")
        while time.monotonic() < until or beside.execute(counted, (database,)).fetchone() == (0,):
            with mine.transaction():
                mine.execute(f"{query.format('random()')} LIMIT 10")
                time.sleep(0.1)
                mine.execute(query.format("n DESC"))


FAULTS: dict[str, Fault] = {
    "connections ended": backends_killed,
    "tables locked": tables_locked,
    "deadlocks": deadlocked,
    "no connection left": connections_exhausted,
    "server killed": killed,
}
