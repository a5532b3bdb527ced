"""What has to hold when a job is done: every process is there, takes messages, and holds none."""

import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from redis.exceptions import RedisError

from bench.chaos.scene import Stage
from firstline.config.queues.app import make_app
from firstline.config.queues.liveness import EVERY_S
from firstline.config.settings import get_settings
from tests.acceptance.processes import Child

#: Seconds after a job's end until which everything has to be at rest.
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Rest:
    """A deployment without work."""

    #: Processes that do not answer a command.
    mute: int
    #: Processes through which no pulse came.
    deaf: int
    #: Messages in work or taken for it.
    held: int
    #: The most that one process has.
    threads: int
    connections: int

    @property
    def is_sound(self) -> bool:
        """Whether all is as it has to be."""
        return not (self.mute or self.deaf or self.held)


def pulses(folder: Path) -> dict[str, dict[str, str]]:
    """Return what the processes of a stage are given so that each tells of its pulse."""
    names = ("orchestrator-0", "orchestrator-1", "worker-cheap-0", "worker-cheap-1", "worker-frontier-0")
    return {name: {"FIRSTLINE_PULSE_FILE": str(folder / name)} for name in names}


def come_to_rest(stage: Stage) -> Rest:
    """Wait until all is at rest, but not for ever; return what was found last."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = _look(stage)
        if found.is_sound or time.monotonic() > deadline:
            return found
        time.sleep(1)


def _look(stage: Stage) -> Rest:
    children = [child for name, child in stage.deployment.children.items() if name != "simulator"]
    inspect = make_app(get_settings()).control.inspect(timeout=3)
    try:
        active, reserved = inspect.active() or {}, inspect.reserved() or {}
    except (RedisError, OSError):
        active, reserved = {}, {}
    processes = [psutil.Process(child.process.pid) for child in children if child.process is not None]
    return Rest(
        mute=len(children) - len(active),
        deaf=sum(_is_deaf(child) for child in children),
        held=sum(len(held) for told in (active, reserved) for held in told.values()),
        threads=max(process.num_threads() for process in processes),
        connections=max(len(process.net_connections()) for process in processes),
    )


def _is_deaf(child: Child) -> bool:
    file = Path(child.env["FIRSTLINE_PULSE_FILE"])
    return not file.exists() or time.time() - file.stat().st_mtime > 3 * EVERY_S
