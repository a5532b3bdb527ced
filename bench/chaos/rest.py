"""What has to hold when a job is done: every process is there, takes messages, and holds none."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from redis.exceptions import RedisError

from bench.chaos.scene import Stage
from firstline.config.queues.app import make_app
from firstline.config.queues.liveness import EVERY_S
from firstline.config.settings import get_settings
from tests.acceptance.processes import Child

#: What a process may hold more and more of.
HELD = ("threads", "connections", "files")
#: Seconds after a job's end until which everything has to be at rest.
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Footprint:
    """What one process holds of the machine."""

    threads: int
    connections: int
    #: Open file descriptors, those of connections too.
    files: int


@dataclass(frozen=True)
class Rest:
    """A deployment without work."""

    #: Processes that do not answer a command.
    mute: int
    #: Processes through which no pulse came.
    deaf: int
    #: Messages in work or taken for it.
    held: int
    #: What each process holds, by its name.
    footprints: Mapping[str, Footprint]

    @property
    def is_sound(self) -> bool:
        """Whether all is as it has to be."""
        return not (self.mute or self.deaf or self.held)

    def most(self, what: str) -> int:
        """Return the most that one process holds of `threads`, `connections` or `files`."""
        return max(getattr(one, what) for one in self.footprints.values())

    def __str__(self) -> str:
        held = ", ".join(f"{self.most(what)} {what}" for what in HELD)
        return f"at rest {self.mute} mute, {self.deaf} deaf, {self.held} held; {held} at most in a process"


def rise(rests: Sequence[Rest], what: str) -> tuple[int, str]:
    """Return by how much more of `what` a process holds after the last rounds than after the first, and which does.

    A round may leave a pool of connections larger or smaller than the one before. So with four rounds or more the
    least of the last two is laid beside the most of the first two.
    """
    few = 2 if len(rests) >= 4 else 1
    rises = {
        name: min(getattr(one.footprints[name], what) for one in rests[-few:])
        - max(getattr(one.footprints[name], what) for one in rests[:few])
        for name in rests[0].footprints
        if all(name in one.footprints for one in rests)
    }
    name = max(rises, key=lambda one: rises[one])
    return rises[name], name


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
    return Rest(
        mute=len(children) - len(active),
        deaf=sum(_is_deaf(child) for child in children),
        held=sum(len(held) for told in (active, reserved) for held in told.values()),
        footprints={child.name: found for child in children if (found := _footprint(child)) is not None},
    )


def _footprint(child: Child) -> Footprint | None:
    if child.process is None:
        return None
    try:
        process = psutil.Process(child.process.pid)
        return Footprint(process.num_threads(), len(process.net_connections()), process.num_fds())
    except psutil.NoSuchProcess:
        return None


def _is_deaf(child: Child) -> bool:
    file = Path(child.env["FIRSTLINE_PULSE_FILE"])
    return not file.exists() or time.time() - file.stat().st_mtime > 3 * EVERY_S
