"""What befalls a PostgreSQL server beneath a job: locks, ended connections, limits, a killed server."""

import time
from collections.abc import Callable

from bench.chaos.scene import OUTAGE_S, Scene
from tests.acceptance import postgres_faults
from tests.acceptance.postgres_faults import Fault
from tests.servers import Missing

#: Seconds for which a client holds its locks.
LOCKED_S = 15.0
#: Seconds for which nothing passes.
SWALLOWED_S = 20.0


def _under(scene: Scene, fault: Fault, seconds: float) -> None:
    server = scene.stage.postgres
    if server is None:
        raise Missing("PostgreSQL: this round is on SQLite (--database postgresql)")
    scene.wait_until_share(0.3)
    with scene.lasting(fault.__name__.replace("_", " ")):
        fault(server, scene.deployment.database_url.rpartition("/")[2], seconds)


def _scenario(fault: Fault, seconds: float) -> Callable[[Scene], None]:
    def play(scene: Scene) -> None:
        _under(scene, fault, seconds)

    play.__name__ = f"postgres_{fault.__name__}"
    play.__doc__ = fault.__doc__
    return play


def postgres_half_open(scene: Scene) -> None:
    """Swallow all that is sent to PostgreSQL and by it; connections of before stay open and lead nowhere for ever."""
    way = scene.stage.database_way
    if way is None:
        raise Missing("PostgreSQL: this round is on SQLite (--database postgresql)")
    scene.wait_until_share(0.3)
    with scene.lasting("half open"):
        way.swallow()
        time.sleep(SWALLOWED_S)
        way.pass_on()


SCENARIOS = (
    _scenario(postgres_faults.tables_locked, LOCKED_S),
    _scenario(postgres_faults.rows_locked, LOCKED_S),
    _scenario(postgres_faults.backends_killed, OUTAGE_S),
    _scenario(postgres_faults.statements_timed_out, OUTAGE_S),
    _scenario(postgres_faults.serializations_failed, OUTAGE_S),
    _scenario(postgres_faults.connections_exhausted, OUTAGE_S),
    _scenario(postgres_faults.deadlocked, OUTAGE_S),
    _scenario(postgres_faults.read_only, OUTAGE_S),
    _scenario(postgres_faults.stuck, OUTAGE_S),
    _scenario(postgres_faults.killed, OUTAGE_S),
    postgres_half_open,
)
