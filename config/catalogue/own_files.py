"""The user's own skills, workflows, profiles and tools as files: checked, written whole or not at all, and kept.

Every write is noted beside the file in `history/NAME.jsonl`: who, when, and the text that it took the place of.
"""

import difflib
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from firstline.config.catalogue.catalogue import Catalogue
from firstline.config.catalogue.file_kinds import FOLDERS, FileKind
from firstline.config.catalogue.yaml_file import parse_yaml
from firstline.config.catalogue.yaml_text import as_yaml, rewritten
from firstline.config.errors.error_messages import ConfigError
from firstline.config.settings import OWN_FOLDER, get_settings
from firstline.schemas.base import Frozen, digest
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile

_HISTORY = "history"
#: What the version of a file that is not there yet is.
NONE_YET = ""


class Revision(Frozen):
    """One write of a file."""

    at: datetime
    by: str
    #: The text that was there before; None: there was no such file.
    was: str | None
    #: Version of the text that was written.
    version: str


class ChangedMeanwhile(UserError):
    """Somebody else has written the file since its text was read; nothing was written now."""

    def __init__(self, message: str, *, version: str, difference: str) -> None:
        super().__init__(message)
        #: What is there now, to be named by who writes over it all the same.
        self.version = version
        #: From what is there now to what was to be written.
        self.difference = difference


@dataclass(frozen=True)
class Draft:
    """A file of the user's own as it is to be: its text now (None: there is none) and then."""

    kind: FileKind
    name: str
    file: Path
    old: str | None
    new: str

    @property
    def version(self) -> str:
        """The version of what is there now."""
        return version_of(self.old)

    @property
    def difference(self) -> str:
        """The unified difference of the two texts; empty where there is none."""
        return difference_of(self.old or "", self.new, self.file)


def own_folder() -> Path:
    """Return the folder that the user's own files are written to: FIRSTLINE_HOME, else `./firstline`."""
    return get_settings().home or OWN_FOLDER


def own_file(catalogue: Catalogue, kind: FileKind, name: str) -> Path:
    """Return the file that a name is written to: a built-in one's stands in the user's own folder from then on."""
    known = catalogue.shelves[kind].entries.get(name)
    folder = next(folder for folder, its_kind in FOLDERS.items() if its_kind is kind)
    return known.file if known and not known.built_in else own_folder() / folder / f"{name}.yaml"


def draft(catalogue: Catalogue, kind: FileKind, value: Workflow | Skill | Profile) -> Draft:
    """Return the file that holds a value: where there is a text already, its comments, order and layout stay."""
    file = own_file(catalogue, kind, value.name)
    entry = catalogue.shelves[kind].entries.get(value.name)
    source = entry.file if entry else None
    text = source.read_text("utf-8") if source else None
    try:
        before = parse_yaml(text.encode(), file).parse(type(value), name=value.name) if text is not None else None
    except ConfigError:
        before = None
    new = rewritten(text, before, value) if text is not None and before is not None else as_yaml(value)
    return Draft(kind, value.name, file, text if source == file else None, new)


def as_written(catalogue: Catalogue, kind: FileKind, name: str, model: type[Skill] | type[Profile]) -> Skill | Profile:
    """Return a value as its file has it, its relative paths as they are."""
    file = catalogue.shelves[kind].entry(name).file
    return parse_yaml(file.read_bytes(), file).parse(model, name=name)


def save_own(
    catalogue: Catalogue, kind: FileKind, name: str, text: str, *, by: str, version: str | None = None
) -> Path:
    """Write a file of the user's own and return it; one with the name of a built-in one is used instead of that.

    `version` is that of the text that the writer began with; None: whatever is there is written over. ConfigError holds
    every fault of the text, with its line; ChangedMeanwhile: it is not that version. Nothing is written then.
    """
    file = own_file(catalogue, kind, name)
    document = parse_yaml(text.encode(), file)
    entry = catalogue.entry(document, kind)
    if entry.problems:
        raise ConfigError(entry.problems)
    if entry.name != name:
        raise UserError(f"the file names itself '{entry.name}', expected '{name}'; rename one of the two")
    try:
        with _alone(file) as log:
            was = file.read_text("utf-8") if file.exists() else None
            if version is not None and version_of(was) != version:
                raise _changed(file, was, text)
            if was != text:
                _write(file, text)
                revision = Revision(at=datetime.now(UTC), by=by, was=was, version=version_of(text))
                with log.open("a", encoding="utf-8") as stream:
                    stream.write(f"{revision.model_dump_json()}\n")
    except OSError as error:
        raise UserError(f"{file} cannot be written ({error.strerror}); check the folder's permissions") from None
    return file


def history(file: Path) -> list[Revision]:
    """Return the writes of a file, newest first."""
    log = _log(file)
    if not log.exists():
        return []
    return [Revision.model_validate_json(line) for line in reversed(log.read_text("utf-8").splitlines())]


def version_of(text: str | None) -> str:
    """Return the version of a file's text; that of a file that is not there is `NONE_YET`."""
    return NONE_YET if text is None else digest(text)


def difference_of(old: str, new: str, file: Path) -> str:
    """Return the unified difference of two texts; empty where there is none."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), f"{file.name} now", file.name, lineterm="", n=2)
    return "\n".join(lines)


def _changed(file: Path, was: str | None, text: str) -> ChangedMeanwhile:
    last = next(iter(history(file)), None)
    known = last is not None and last.version == version_of(was)
    who = f"by {last.by} at {last.at:%Y-%m-%d %H:%M:%S} UTC" if last and known else "by somebody who edited the file"
    message = f"{file.name} was changed {who} since you began; nothing was written. Save again to write over it"
    return ChangedMeanwhile(message, version=version_of(was), difference=difference_of(was or "", text, file))


def _log(file: Path) -> Path:
    return file.parent / _HISTORY / f"{file.stem}.jsonl"


@contextmanager
def _alone(file: Path) -> Iterator[Path]:
    """Yield a file's history, held by nobody else: who comes second sees what the first has written."""
    log = _log(file)
    log.parent.mkdir(parents=True, exist_ok=True)
    with (log.parent / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield log


def _write(file: Path, text: str) -> None:
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
