"""Versions of a skill's file: all are kept beside it in `versions/`, one is live, any can be taken again."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from firstline.config.catalogue.catalogue import Catalogue, load_catalogue
from firstline.config.catalogue.yaml_file import is_path, read_yaml
from firstline.config.catalogue.yaml_text import as_yaml, rewritten
from firstline.config.settings import OWN_FOLDER, get_settings
from firstline.schemas.base import Frozen
from firstline.schemas.errors import InfrastructureError, UserError
from firstline.schemas.skill import Skill

_FOLDER = "versions"
_NAME = re.compile(r"\.v(\d+)(?:-[0-9a-f]+)?$")


class Version(Frozen):
    """One kept version of a skill."""

    version: int
    digest: str
    file: str
    #: Whether this is what the skill's name stands for now.
    live: bool
    built_in: bool = False


@dataclass(frozen=True)
class SkillFile:
    """A skill with its file, and where its versions go."""

    skill: Skill
    file: Path
    built_in: bool = False

    @property
    def live(self) -> Path:
        """The file that the skill's name stands for: the user's own; a built-in one is never written to."""
        if not self.built_in:
            return self.file
        homes = get_settings().homes
        return (homes[0] if homes else OWN_FOLDER) / "skills" / f"{self.skill.name}.yaml"

    @property
    def kept(self) -> Path:
        """The folder of all versions."""
        return self.live.parent / _FOLDER


def find_skill(name_or_path: str, among: Catalogue | None = None) -> SkillFile:
    """Return a skill of a catalogue (this user's when missing) or at a path, with its file; else a UserError."""
    catalogue = among or load_catalogue()
    if is_path(name_or_path):
        return SkillFile(catalogue.skill(name_or_path), Path(name_or_path))
    skill = catalogue.skill(name_or_path)
    entry = catalogue.skills.entries[name_or_path]
    return SkillFile(skill, entry.file, entry.built_in)


def versions(found: SkillFile) -> list[Version]:
    """Return all versions of a skill, the newest first; the live one is among them."""
    live = Version(
        version=found.skill.version,
        digest=found.skill.digest,
        file=str(found.file),
        live=True,
        built_in=found.built_in,
    )
    others = [one for one in _kept(found) if one.digest != live.digest]
    return sorted([live, *others], key=lambda one: (-one.version, not one.live))


def _kept(found: SkillFile) -> Iterator[Version]:
    for file in sorted(found.kept.glob(f"{found.skill.name}.v*.yaml")):
        if _NAME.search(file.stem):
            skill = _read(file, found.skill.name)
            yield Version(version=skill.version, digest=skill.digest, file=str(file), live=False)


def next_version(found: SkillFile) -> int:
    """Return the number of a new version: above all that were ever kept."""
    return 1 + max(one.version for one in versions(found))


def keep(found: SkillFile, skill: Skill) -> Path:
    """Write a new version beside the others, without making it live; return its file."""
    text = rewritten(found.file.read_text("utf-8"), found.skill, skill)
    return _write(found.kept / f"{skill.name}.v{skill.version}.yaml", text, skill)


def take(found: SkillFile, version: int) -> Version:
    """Make a kept version the live one; what was live is kept. UserError when there is no such version."""
    chosen = version_of(found, version)
    if chosen.live:
        raise UserError(f"version {version} of '{found.skill.name}' is live already")
    _keep_live(found)
    text = Path(chosen.file).read_text("utf-8")
    _write(found.live, text, _read(Path(chosen.file), found.skill.name))
    return chosen.evolve(live=True, file=str(found.live))


def roll_back(found: SkillFile, version: int | None = None) -> Version:
    """Make an earlier version live again, the one before the live one unless named."""
    if version is None:
        earlier = [one.version for one in versions(found) if not one.live and one.version < found.skill.version]
        if not earlier:
            raise UserError(f"'{found.skill.name}' has no version before {found.skill.version} to go back to")
        version = max(earlier)
    return take(found, version)


def version_of(found: SkillFile, version: int) -> Version:
    """Return a version by its number, the live one where there are several of that number."""
    matching = [one for one in versions(found) if one.version == version]
    if not matching:
        known = ", ".join(str(one.version) for one in versions(found))
        raise UserError(f"'{found.skill.name}' has no version {version}; it has {known}")
    return matching[0]


def difference(found: SkillFile, old: int | None, new: int | None) -> str:
    """Return the unified difference of two versions: by default the one before the live one, and the live one."""
    numbers = [one.version for one in versions(found)]
    after = new if new is not None else found.skill.version
    earlier = [number for number in numbers if number < after]
    before = old if old is not None else max(earlier, default=after)
    first, second = (version_of(found, number) for number in (before, after))
    # As they would be written by us: how a person broke the lines makes no difference to a model.
    old_text, new_text = (dump(_read(Path(one.file), found.skill.name)) for one in (first, second))
    return text_difference(old_text, new_text, f"version {before}", f"version {after}")


def text_difference(old: str, new: str, old_name: str, new_name: str) -> str:
    """Return the unified difference of two texts; empty where there is none."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), old_name, new_name, lineterm="", n=2)
    return "\n".join(lines)


def dump(skill: Skill) -> str:
    """Return a skill as YAML that reads back as the same skill."""
    return as_yaml(skill, first=("name", "version"))


def _keep_live(found: SkillFile) -> None:
    """Copy the live file into the versions as it is, comments and all, unless it is there."""
    text = found.file.read_text("utf-8")
    target = found.kept / f"{found.skill.name}.v{found.skill.version}.yaml"
    if target.exists() and _read(target, found.skill.name).digest != found.skill.digest:
        target = target.with_name(f"{found.skill.name}.v{found.skill.version}-{found.skill.digest}.yaml")
    if not target.exists():
        _write(target, text, found.skill)


def _write(file: Path, text: str, skill: Skill) -> Path:
    """Write a skill's file whole or not at all, and make sure that it reads back as the same skill."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".yaml.new")
        draft.write_text(text, "utf-8")
        draft.replace(file)
    except OSError as error:
        raise UserError(f"{file} cannot be written ({error.strerror}); check the folder's permissions") from None
    if _read(file, skill.name) == skill:
        return file
    raise InfrastructureError(f"{file} does not read back as what was written; the other versions are untouched")


def _read(file: Path, name: str) -> Skill:
    """Return the skill in a file; `name` is its name where the file does not say it."""
    return read_yaml(file).parse(Skill, name=name)
