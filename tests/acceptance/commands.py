"""The command line as a user types it, on processes that are up: these tests are of commands, not of starting."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from firstline.orchestrator import cli
from firstline.workers.simulator.running import running as simulating
from firstline.workers.simulator.script import load_script
from tests.acceptance.processes import Deployment, running
from tests.servers import RedisServer


@dataclass(frozen=True)
class Printed:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> str:
        """All that was printed, what is not the result first."""
        return self.err + self.out


Commands = Callable[..., Printed]


@contextmanager
def commands(folder: Path, *tiers: str, profile: str | None = None) -> Iterator[Commands]:
    """Run a deployment with one worker for all tiers; yield what types a command in `folder`, whose script is played.

    The folder's profiles name a service of theirs, as for a run by itself: here it is up already.
    """
    with simulating(load_script(folder / "script.yaml")) as url, processes(folder, *tiers, profile=profile):
        serve_from(folder, url)
        yield lambda *arguments: typed(folder, *arguments)


@contextmanager
def processes(folder: Path, *tiers: str, profile: str | None = None) -> Iterator[None]:
    """Run an orchestrator and one worker for all tiers; commands of this process find them."""
    made = Deployment(
        folder / "deployment",
        f"sqlite:///{folder / 'deployment' / 'firstline.db'}",
        "",
        RedisServer(folder / "redis"),
        orchestrators=1,
        workers={",".join(tiers): 1},
        env={"FIRSTLINE_PROFILE": profile} if profile else {},
    )
    with running(made):
        yield


def serve_from(folder: Path, url: str) -> None:
    """Have the profiles in a folder name a server that is up in place of a service of theirs."""
    for file in folder.rglob("*.yaml"):
        text = re.sub(r"service:\w+", f"{url}/v1", file.read_text("utf-8"))
        file.write_text(re.sub(r"^services:.*\n(?:  .*\n)*", "", text, flags=re.MULTILINE), "utf-8")


def typed(folder: Path, *arguments: str) -> Printed:
    """Type a command in a folder."""
    out, err = io.StringIO(), io.StringIO()
    with chdir(folder), redirect_stdout(out), redirect_stderr(err):
        code = cli.main(list(arguments))
    return Printed(code, out.getvalue(), err.getvalue())
