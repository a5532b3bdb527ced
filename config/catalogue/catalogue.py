"""The catalogue: every skill, workflow, profile and tool, built in and the user's own, checked against each other."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from firstline.config.catalogue.collection import Entry, Reader, Shelf
from firstline.config.catalogue.file_kinds import FOLDERS, FileKind, expect_kind, kind_of
from firstline.config.catalogue.skill_flaws import skill_flaws
from firstline.config.catalogue.tool_paths import located_tool, located_workflow
from firstline.config.catalogue.workflow_flaws import Names, workflow_flaws
from firstline.config.catalogue.yaml_file import Document, is_path, read_yaml
from firstline.config.errors.error_messages import Flaw, Problem, unknown
from firstline.config.settings import get_settings
from firstline.schemas.base import Frozen
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobRequest
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile, Service
from firstline.schemas.tool import ToolSpec

T = TypeVar("T", bound=Frozen)

BUILT_IN = Path(__file__).parents[1]
#: Folder of the user's own with a folder for each tenant, of what that tenant alone has.
TENANTS = "tenants"
#: Names of tenants that may name a folder.
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
#: Built-in skills of the engine itself: plans, reviews, referrals, better prompts. A user's own file may replace one.
ENGINE_SKILLS = frozenset({"planner", "adapt", "checkpoint", "refer", "prompt_improver", "judge"})
#: Tools that need no declaration: a step names them and gives their options.
BUILT_IN_TOOLS = ("search", "sql", "http_get", "python", "regex_extract", "dates", "units", "dedupe", "split", "gather")


@dataclass(frozen=True, slots=True)
class Parts:
    """The skills and tools that a workflow uses, by the names it uses for them."""

    skills: dict[str, Skill]
    tools: dict[str, ToolSpec]


class Catalogue:
    """What can be named, by name or by path; a broken file matters to whoever asks for it."""

    def __init__(self, own: Sequence[Path] = (), *, tenants: Sequence[Path] = (), built_in: Path = BUILT_IN) -> None:
        self.own = tuple(own)
        #: Folders of what one tenant has for itself.
        self._tenants = tuple(tenants)
        self._built_in = built_in
        self._tool = Reader("tool", ToolSpec, finish_tool)
        self._skill = Reader("skill", Skill, self._finish_skill)
        self._workflow = Reader("workflow", Workflow, self._finish_workflow)
        self._profile = Reader("profile", Profile, finish_profile)

    # Each shelf is read when something of it is wanted: a job that brings its skills along needs none.

    @cached_property
    def tools(self) -> Shelf[ToolSpec]:
        """The tools that are declared."""
        return self._read(self._tool, FileKind.TOOL)

    @cached_property
    def skills(self) -> Shelf[Skill]:
        """The skills, those of the engine hidden."""
        return replace(self._read(self._skill, FileKind.SKILL), hidden=ENGINE_SKILLS)

    @cached_property
    def workflows(self) -> Shelf[Workflow]:
        """The workflows."""
        return self._read(self._workflow, FileKind.WORKFLOW)

    @cached_property
    def profiles(self) -> Shelf[Profile]:
        """The profiles."""
        return self._read(self._profile, FileKind.PROFILE)

    def _read(self, reader: Reader[T], kind: FileKind) -> Shelf[T]:
        folder = next(name for name, one in FOLDERS.items() if one is kind)
        return reader.shelf(folder, built_in=self._built_in, own=self.own, tenants=self._tenants)

    def skill(self, name_or_path: str | Path, *, folder: Path = Path()) -> Skill:
        """Return a skill; UserError names what there is, or what is wrong with its file."""
        return self._skill.value(name_or_path, self.skills, folder=folder)

    def profile(self, name_or_path: str | Path, *, folder: Path = Path()) -> Profile:
        """Return a profile; UserError names what there is, or what is wrong with its file."""
        return self._profile.value(name_or_path, self.profiles, folder=folder)

    def tool(self, name: str) -> ToolSpec:
        """Return a tool: a declared one, or a built-in one that needs no declaration."""
        if name in BUILT_IN_TOOLS and name not in self.tools:
            return ToolSpec(name=name, kind=name)
        return self.tools.entry(name).usable()

    def workflow(self, name_or_path: str | Path, *, folder: Path = Path()) -> Workflow:
        """Return a workflow; a skill's name or path stands for a workflow of that one step."""
        if is_path(name_or_path):
            document = read_yaml(folder / name_or_path)
            if kind_of(document.data) is FileKind.SKILL:
                return of_skill(self._skill.from_document(document).usable(), inline=True)
            expect_kind(document, FileKind.WORKFLOW)
            return self._workflow.from_document(document).usable()
        name = str(name_or_path)
        if name in self.workflows:
            return self.workflows.entry(name).usable()
        if name in self.skills:
            return of_skill(self.skill(name))
        raise UserError(unknown("workflow or skill", name, self.workflows.names | self.skills.names))

    def profile_of(self, request: JobRequest) -> Profile:
        """Return the ladder that a request brings or names, or else the deployment's own; UserError as in `profile`."""
        named = "profile" in request.options.model_fields_set
        return request.profile or self.profile(request.options.profile if named else get_settings().profile)

    def workflow_of(self, request: JobRequest) -> Workflow | None:
        """Return the workflow that a request brings or names; None: it has none. UserError as in `workflow`."""
        return self.workflow(request.workflow) if isinstance(request.workflow, str) else request.workflow

    def parts(self, workflow: Workflow) -> Parts:
        """Return every skill and tool that a workflow's steps, and their skills, use; its own declarations win."""
        inline = {skill.name: skill for skill in workflow.skills}
        names = {step.skill for step in workflow.steps if step.skill}
        skills = {name: inline.get(name) or self.skill(name) for name in sorted(names)}
        declared = {tool.name: tool for tool in workflow.tools}
        wanted = {step.tool for step in workflow.steps if step.tool}
        wanted |= {name for skill in skills.values() for name in skill.tools}
        return Parts(skills, {name: declared.get(name) or self.tool(name) for name in sorted(wanted)})

    def flaws(self, workflow: Workflow) -> list[Flaw]:
        """Return what is wrong with a workflow from anywhere (a job file, a planner model): one flaw per fault."""
        inline = {skill.name: skill for skill in workflow.skills}
        declared = {tool.name for tool in workflow.tools}

        def tool(name: str) -> str | None:
            return None if name in declared else self._why_no_tool(name)

        def skill(name: str) -> str | None:
            return None if name in inline else self._why_no_skill(name)

        known = {value.name: value for value in self.skills} | inline
        own = [
            Flaw(("skills", number, *flaw.at), flaw.text)
            for number, value in enumerate(workflow.skills)
            for flaw in skill_flaws(value, tools=tool)
        ]
        tools = {one.name: one for one in (*self.tools, *workflow.tools)}
        tools |= {name: ToolSpec(name=name, kind=name) for name in BUILT_IN_TOOLS if name not in tools}
        return [*own, *workflow_flaws(workflow, Names(skills=known, skill=skill, tool=tool, tools=tools))]

    @property
    def functions(self) -> tuple[Path, ...]:
        """The folders of the user's own Python functions."""
        return tuple(folder for home in self.own if (folder := (home / "functions").absolute()).is_dir())

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything wrong with any file of the catalogue."""
        return tuple(problem for shelf in self.shelves.values() for problem in shelf.problems)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not wrong, but should be said: built-in names that the user's own files take over."""
        return tuple(note for shelf in self.shelves.values() for note in shelf.notes)

    @property
    def shelves(self) -> Mapping[FileKind, Shelf[Skill] | Shelf[Workflow] | Shelf[Profile] | Shelf[ToolSpec]]:
        """All shelves by kind."""
        return {
            FileKind.SKILL: self.skills,
            FileKind.WORKFLOW: self.workflows,
            FileKind.PROFILE: self.profiles,
            FileKind.TOOL: self.tools,
        }

    def entry(
        self, document: Document, kind: FileKind
    ) -> Entry[Skill] | Entry[Workflow] | Entry[Profile] | Entry[ToolSpec]:
        """Return a file from anywhere as an entry of this catalogue."""
        match kind:
            case FileKind.SKILL:
                return self._skill.from_document(document)
            case FileKind.WORKFLOW:
                return self._workflow.from_document(document)
            case FileKind.PROFILE:
                return self._profile.from_document(document)
            case FileKind.TOOL:
                return self._tool.from_document(document)
            case FileKind.JOB:
                raise ValueError("a job file is no part of a catalogue")

    def _finish_skill(self, skill: Skill, _: Path) -> tuple[Skill, list[Flaw]]:
        return skill, skill_flaws(skill, tools=self._why_no_tool)

    def _finish_workflow(self, workflow: Workflow, folder: Path) -> tuple[Workflow, list[Flaw]]:
        finished, flaws = self.with_skill_files(workflow, folder)
        return finished, flaws or self.flaws(finished)

    def with_skill_files(self, workflow: Workflow, folder: Path) -> tuple[Workflow, list[Flaw]]:
        """Return a workflow that stands without its file, which is in `folder`.

        Skills given by path become its own, paths in its tools' and steps' options absolute.
        """
        steps: list[Step] = []
        skills = {skill.name: skill for skill in workflow.skills}
        flaws: list[Flaw] = []
        for number, step in enumerate(workflow.steps):
            skill = None
            if step.skill and is_path(step.skill):
                try:
                    skill = self.skill(step.skill, folder=folder)
                except UserError as error:
                    flaws.append(Flaw(("steps", number, "skill"), in_one_line(error)))
            if skill is not None:
                skills[skill.name] = skill
            steps.append(step.evolve(skill=skill.name) if skill else step)
        finished = workflow.evolve(steps=tuple(steps), skills=tuple(skills.values()))
        return located_workflow(finished, folder), flaws

    def _why_no_tool(self, name: str) -> str | None:
        return _why_not(lambda: self.tool(name))

    def _why_no_skill(self, name: str) -> str | None:
        return _why_not(lambda: self.skill(name))


def load_catalogue(folders: Sequence[Path] | None = None, *, tenant: str | None = None) -> Catalogue:
    """Return the catalogue of the built-in files and those in `folders` (None: the user's own, by the settings).

    What `tenant` has for itself is in it, too; None: what all have.
    """
    homes = get_settings().homes if folders is None else folders
    unique = tuple({home.resolve(): home for home in homes}.values())
    return Catalogue(unique, tenants=tenant_homes(unique, tenant) if tenant is not None else ())


def tenant_homes(homes: Sequence[Path], tenant: str) -> tuple[Path, ...]:
    """Return the folders in which a tenant has files of its own; a name that is no plain one has none."""
    if not PLAIN.fullmatch(tenant):
        return ()
    return tuple(folder for home in homes if (folder := home / TENANTS / tenant).is_dir())


def of_skill(skill: Skill, *, inline: bool = False) -> Workflow:
    """Return the workflow of one step that a skill stands for."""
    step = Step(name=skill.name.replace("-", "_"), skill=skill.name)
    return Workflow(name=skill.name, description=skill.description, steps=(step,), skills=(skill,) if inline else ())


def _why_not(look: Callable[[], object]) -> str | None:
    try:
        look()
    except UserError as error:
        return in_one_line(error)
    return None


def in_one_line(error: UserError) -> str:
    """Return an error's lines as one, to be told within another file's problem."""
    return "; ".join(str(error).splitlines())


def finish_profile(profile: Profile, folder: Path) -> tuple[Profile, list[Flaw]]:
    """Return a profile with its services' files made absolute: they stand beside the profile, in `folder`."""
    return profile.evolve(services=tuple(_located(service, folder) for service in profile.services)), []


def finish_tool(tool: ToolSpec, folder: Path) -> tuple[ToolSpec, list[Flaw]]:
    """Return a tool with its paths made absolute: they stand beside the tool's file, in `folder`."""
    return located_tool(tool, folder), []


def _located(service: Service, folder: Path) -> Service:
    """Return the service with its file's path made absolute; names of models stay names."""
    is_file = service.source is not None and (service.kind == "simulator" or service.source.endswith(".gguf"))
    return (
        service.evolve(source=str((folder / Path(service.source or "").expanduser()).absolute()))
        if is_file
        else service
    )
