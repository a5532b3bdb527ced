"""docs/tutorial.md as a script: the files that it writes, the commands that it types, and what they print."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"

_BLOCK = re.compile(r"^```(?P<kind>\w+)(?: (?P<file>\S+))?(?P<add> add)?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_ID = re.compile(r"\b\d{4}-[0-9a-f]{8}\b")
#: Items that stand for many: which ones depends on which came first.
_SUCH_AS = re.compile(r"<id>/r\d+")
#: Durations, in words and in JSON: no two runs have the same.
_SECONDS = re.compile(r"\b\d+(?:\.\d+)?(?:e-\d+)? (?:ms|s|min)\b")
_LATENCY = re.compile(r"(?<=\"latency_s\":)[\d.e-]+")


#: An estimate rests on how the calls of earlier commands fell, of which no two runs have the same.
_ESTIMATE = re.compile(r"(?<=Estimated before the run: )\$([\d.]+) \(\$([\d.]+) to \$([\d.]+)\)")


@dataclass(frozen=True)
class File:
    """A file that the reader writes, or adds to."""

    path: str
    text: str
    add: bool


@dataclass(frozen=True)
class Command:
    """What the reader types, and what the page says comes of it."""

    line: str
    printed: str


def script(page: str) -> Iterator[File | Command]:
    """Yield what the page has its reader do, in order."""
    for block in _BLOCK.finditer(page):
        if block["file"]:
            yield File(block["file"], block["text"], bool(block["add"]))
        elif block["kind"] == "console":
            for typed in re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]:
                line, _, printed = typed.partition("\n")
                yield Command(line, printed)


class Reader:
    """Follows the page in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ids: dict[str, str] = {}

    def write(self, file: File) -> None:
        """Write a file, or add to one that is there."""
        path = self._folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.add:
            with path.open("a", encoding="utf-8") as there:
                there.write(file.text)
        else:
            path.write_text(file.text, encoding="utf-8")

    def type(self, command: Command) -> str:
        """Return what a command prints; the ids in it are the reader's own, not the page's.

        What is only for the eye while one waits, the progress, goes to standard error and is no part of the page.
        """
        printed, code = self.type_any(command)
        assert code == 0, f"{command.line}\n{printed}"
        return printed

    def type_any(self, command: Command) -> tuple[str, int]:
        """Return what a command prints, and the code that it ends with; what a refused one says is among that."""
        line = _ID.sub(lambda found: self._ids.get(found[0], found[0]), command.line)
        done = subprocess.run(
            line,
            shell=True,
            cwd=self._folder,
            env=_environment(),
            text=True,
            encoding="utf-8",
            capture_output=True,
            timeout=120,
            check=False,
        )
        self._ids.update(zip(_ID.findall(command.printed), _ID.findall(done.stdout), strict=False))
        return done.stdout + (done.stderr if done.returncode else ""), done.returncode


def _environment() -> dict[str, str]:
    """Return an environment without settings of ours, in which `firstline` and `python` are this environment's."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLINE_")}
    return {**env, "PATH": os.pathsep.join((str(Path(sys.executable).parent), env.get("PATH", ""))), "COLUMNS": "120"}


def steady(printed: str) -> list[str]:
    """Return an output's words, sorted, without what differs from run to run: ids, durations, where lines break."""
    text = _SUCH_AS.sub("<item>", _ID.sub("<id>", " ".join(printed.split())))
    text = _ESTIMATE.sub("<estimate>", _LATENCY.sub("<s>", _SECONDS.sub("<s>", text)))
    return sorted(text.replace("─", "").split())


def estimates(printed: str) -> list[float]:
    """Return the dollars of an output's estimates: the guess and both ends of its interval, one after the other."""
    return [float(dollars) for found in _ESTIMATE.findall(" ".join(printed.split())) for dollars in found]
