"""Job files: read, their paths resolved, and turned into what `submit` takes."""

import glob
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from firstline.config.catalogue.catalogue import Catalogue, finish_profile, in_one_line, load_catalogue
from firstline.config.catalogue.file_kinds import FileKind, expect_kind, kind_of
from firstline.config.catalogue.yaml_file import Document, is_path, read_yaml
from firstline.config.errors.error_messages import ConfigError, Flaw, listed, suggestion
from firstline.config.settings import get_settings
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobRequest
from firstline.schemas.jobfile import JobFile
from firstline.schemas.plan import Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile

STDIN = "-"

#: What a database's URL begins with that is a path.
_SQLITE = "sqlite:///"
_PATHS = ("input", "home", "functions", "script")


@dataclass(frozen=True, slots=True)
class Job:
    """A job file with everything that it names found: absolute paths, the workflow, the profile."""

    file: Path
    #: As written, its paths made absolute.
    spec: JobFile
    #: None where a goal is given instead.
    workflow: Workflow | None
    profile: Profile
    catalogue: Catalogue

    @property
    def name(self) -> str:
        """The job's own name, or its workflow's, or its folder's."""
        return self.spec.name or (self.workflow.name if self.workflow else self.file.absolute().parent.name)

    @property
    def functions(self) -> tuple[Path, ...]:
        """Folders of the job's own functions, then the user's."""
        own = (Path(self.spec.functions),) if self.spec.functions else ()
        return tuple(dict.fromkeys((*own, *self.catalogue.functions)))

    @property
    def request(self) -> JobRequest:
        """What `submit` takes besides the items."""
        return JobRequest(
            workflow=self.workflow,
            goal=self.spec.goal,
            name=self.name,
            profile=self.profile,
            options=self.spec.options(self.profile.name),
        )


def load_job(file: Path, *, profile: str | None = None) -> Job:
    """Return the job of a file; `profile` (a name, or a path from the current folder) wins over the file's own.

    ConfigError holds every fault, with its line.
    """
    document = read_yaml(file)
    expect_kind(document, FileKind.JOB)
    return job_of(document, profile=profile)


def job_of(document: Document, *, profile: str | None = None) -> Job:
    """Return the job that a document holds; its relative paths stand for files beside it."""
    spec = document.parse(JobFile)
    folder = document.file.parent
    located = _located(spec, folder)
    catalogue = load_catalogue(_homes(located, folder), tenant=spec.tenant)
    flaws = _missing_files(spec, located)
    workflow = _workflow(spec, catalogue, folder, flaws)
    ladder = _profile(spec, catalogue, folder, profile, flaws)
    if ladder is not None:
        flaws += [*_tier_flaws(spec, ladder), *_script_flaws(spec, ladder)]
    if ladder is not None and workflow is not None and not flaws:
        flaws += [
            Flaw(("workflow",), text) for text in missing_tiers(workflow, catalogue.parts(workflow).skills, ladder)
        ]
    if flaws or ladder is None:
        raise ConfigError(document.problems(flaws))
    return Job(document.file, located, workflow, ladder, catalogue)


def _located(spec: JobFile, folder: Path) -> JobFile:
    written = {name: getattr(spec, name) for name in _PATHS}
    found = {name: _absolute(path, folder) for name, path in written.items() if path and _is_path(path)}
    if (url := spec.input) and url.startswith(_SQLITE) and not url.startswith(f"{_SQLITE}/"):
        found["input"] = f"{_SQLITE}{folder.absolute()}/{url.removeprefix(_SQLITE)}"
    return spec.evolve(**found)


def _is_path(text: str) -> bool:
    return text != STDIN and "://" not in text


def _absolute(path: str, folder: Path) -> str:
    return str((folder / Path(path).expanduser()).absolute())


def _homes(located: JobFile, folder: Path) -> tuple[Path, ...]:
    return (*get_settings().homes, Path(located.home) if located.home else folder)


def _missing_files(spec: JobFile, located: JobFile) -> list[Flaw]:
    wants = {"input": "a file or folder", "home": "a folder", "functions": "a folder", "script": "a file"}
    named = {name: str(getattr(spec, name)) for name in wants if _is_path(getattr(spec, name) or STDIN)}
    return [
        Flaw((name,), f"expected {wants[name]}, got '{written}'; {Path(getattr(located, name))} does not exist")
        for name, written in named.items()
        if not Path(getattr(located, name)).exists() and not (name == "input" and glob.glob(str(located.input)))
    ]


def _workflow(spec: JobFile, catalogue: Catalogue, folder: Path, flaws: list[Flaw]) -> Workflow | None:
    if spec.workflow is None:
        return None
    try:
        if isinstance(spec.workflow, str):
            workflow = catalogue.workflow(spec.workflow, folder=folder)
        else:
            workflow, found = catalogue.with_skill_files(spec.workflow, folder)
            flaws += [Flaw(("workflow", *flaw.at), flaw.text) for flaw in found or catalogue.flaws(workflow)]
    except UserError as error:
        flaws.append(Flaw(("workflow",), in_one_line(error)))
        return None
    return workflow.evolve(quality=spec.quality) if spec.quality else workflow


def _profile(spec: JobFile, catalogue: Catalogue, folder: Path, asked: str | None, flaws: list[Flaw]) -> Profile | None:
    if asked is not None:
        return catalogue.profile(asked)
    if isinstance(spec.profile, Profile):
        return finish_profile(spec.profile, folder)[0]
    try:
        return catalogue.profile(spec.profile or get_settings().profile, folder=folder if spec.profile else Path())
    except UserError as error:
        flaws.append(Flaw(("profile",), in_one_line(error)))
        return None


def _tier_flaws(spec: JobFile, ladder: Profile) -> list[Flaw]:
    names = [tier.name for tier in ladder.tiers]
    return [
        Flaw(("tiers", number), f"profile '{ladder.name}' has no tier '{name}'; it has {', '.join(names)}")
        for number, name in enumerate(spec.tiers)
        if name not in names
    ]


def _script_flaws(spec: JobFile, ladder: Profile) -> list[Flaw]:
    silent = any(service.kind == "simulator" and service.source is None for service in ladder.services)
    if not silent or spec.script is not None:
        return []
    text = f"profile '{ladder.name}' replays recorded answers, but the job names none; add `script:` or choose another"
    return [Flaw(("profile",), text)]


def is_job_file(name_or_path: str) -> bool:
    """Return whether a command's argument is a job file, not a workflow or a skill (by name or path)."""
    return is_path(name_or_path) and FileKind.JOB is _kind(Path(name_or_path))


def _kind(file: Path) -> FileKind | None:
    return kind_of(read_yaml(file).data)


def missing_tiers(workflow: Workflow, skills: Mapping[str, Skill], profile: Profile) -> list[str]:
    """Return a sentence for each tier that a workflow cannot do without and the profile's ladder lacks."""
    known = [tier.name for tier in profile.ladder]
    lacks = f"but profile '{profile.name}' has no such tier that models answer on"
    return [
        f"{who} tier '{tier}', {lacks}{suggestion(tier, known) or f'; it has {listed(known)}'}"
        for who, tier in _asked(workflow, skills)
        if tier not in known
    ]


def _asked(workflow: Workflow, skills: Mapping[str, Skill]) -> Iterator[tuple[str, str]]:
    for step in workflow.steps:
        if step.policy and step.policy.start:
            yield f"step '{step.name}' starts on", step.policy.start
    for name, skill in skills.items():
        if skill.policy.start:
            yield f"skill '{name}' starts on", skill.policy.start
        for signal in skill.confidence:
            if signal.tier:
                yield f"skill '{name}' is verified on", signal.tier
