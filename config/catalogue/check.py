"""`firstline check`: every configuration file in a place, read and checked against everything that it names."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from firstline.config.catalogue.answer_fields import uncompared
from firstline.config.catalogue.catalogue import BUILT_IN, TENANTS, Catalogue, in_one_line, load_catalogue
from firstline.config.catalogue.file_kinds import FOLDERS, SIGNS_IN_WORDS, FileKind, kind_of
from firstline.config.catalogue.functions import load
from firstline.config.catalogue.jobfile import job_of
from firstline.config.catalogue.yaml_file import SUFFIXES, Document, read_yaml
from firstline.config.errors.error_messages import ConfigError, Flaw, Problem, listed
from firstline.config.json_schema.formats import unchecked
from firstline.config.settings import get_settings
from firstline.schemas.check import Executable
from firstline.schemas.comparator import FUNCTION_PATH
from firstline.schemas.errors import UserError
from firstline.schemas.skill import Skill

#: More files than any project has; a check of `/` ends.
MAX_FILES = 5_000
_JOB_NAMES = ("job", "*.job", "job-*", "job_*")
_SKIPPED = frozenset({"node_modules", "venv", "site-packages", "__pycache__"})

#: Checks that look at an answer without its item.
_OF_ANSWERS_ALONE = frozenset(
    {"one_of", "regex", "range", "length", "date", "language", "no_refusal", "plan", "number_as_written"}
)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was checked: files by kind, what is wrong with them, and what is only worth saying."""

    counts: dict[FileKind, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    #: The job files among what was checked.
    jobs: tuple[Path, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def summary(self) -> str:
        """One line for people: `3 skills, 1 workflow: in order`."""
        counted = [f"{number} {kind}{'s' * (number != 1)}" for kind, number in self.counts.items() if number]
        wrong = len(self.problems)
        return f"{listed(counted)}: {f'{wrong} problem' + 's' * (wrong != 1) if wrong else 'in order'}"


def check_path(path: Path | None = None) -> CheckReport:
    """Check a file, or every file of ours under a folder; None: the built-in files and the user's own folders.

    A folder is searched for `skills/`, `workflows/`, `tiers/`, `tools/` and for files named `job.yaml` (`x.job.yaml`,
    `job-x.yaml`). Functions that skills name are imported: their modules' code runs. UserError when there is no `path`.
    """
    if path is not None and not path.exists():
        raise UserError(f"expected a file or folder to check, got '{path}', which does not exist")
    if path is None:
        return _report([*_found(BUILT_IN), *(file for home in get_settings().homes for file in _found(home))])
    return _report(list(_found(path)) if path.is_dir() else [path])


def check_document(
    document: Document, *, around: Callable[[Path | None], Catalogue] | None = None
) -> tuple[FileKind | None, tuple[Problem, ...]]:
    """Return what a document declares and everything wrong with it; `around` gives a home's catalogue."""
    kind = FOLDERS.get(document.file.parent.name) or kind_of(document.data)
    match kind:
        case None:
            got = listed(f"`{name}:`" for name in document.data)
            return None, (Problem(document.file, 1, f"expected {SIGNS_IN_WORDS}, got the fields {got}"),)
        case FileKind.JOB:
            return kind, _job_problems(document)
    catalogue = (around or _catalogue_of)(_home(document.file))
    entry = catalogue.entry(document, kind)
    flaws = _function_flaws(entry.value, catalogue.functions) if isinstance(entry.value, Skill) else []
    clashes = catalogue.shelves[kind].clashes
    doubled = [clashes[entry.name]] if entry.name in clashes else []
    return kind, (*entry.problems, *document.problems(flaws), *doubled)


def _report(files: list[Path]) -> CheckReport:
    counts: Counter[FileKind] = Counter()
    problems: list[Problem] = []
    jobs: list[Path] = []
    remarks: list[str] = []
    around = cache(_catalogue_of)
    for file in files:
        try:
            document = read_yaml(file)
            kind, found = check_document(document, around=around)
            remarks += _remarks(document, around(_home(file))) if kind is FileKind.SKILL else ()
        except ConfigError as error:
            kind, found = FOLDERS.get(file.parent.name), error.problems
        counts.update([kind] if kind else [])
        jobs += [file] if kind is FileKind.JOB else []
        problems += found
    notes = [note for home in {_home(file): None for file in files} for note in around(home).notes]
    by_kind = {kind: counts[kind] for kind in FileKind}
    return CheckReport(by_kind, tuple(dict.fromkeys(problems)), tuple(dict.fromkeys([*notes, *remarks])), tuple(jobs))


def _remarks(document: Document, catalogue: Catalogue) -> list[str]:
    """Return what is worth saying of a skill that is in order."""
    skill = catalogue.entry(document, FileKind.SKILL).value
    if not isinstance(skill, Skill):
        return []
    whose = f"skill '{skill.name}' of {document.file}"
    found = [f"{whose}: output.{'.'.join(map(str, at))}: {text}" for at, text in unchecked(skill.output)]
    # Nobody has to mend what is built in.
    silent = uncompared(skill) if BUILT_IN not in document.file.parents else []
    if silent:
        found.append(
            f"{whose}: nobody compares {listed(silent)}; without `compare:` audits and calibrations say nothing of it"
        )
    if skill.pack > 1 and not {check.kind for check in skill.checks} - _OF_ANSWERS_ALONE:
        found.append(
            f"{whose} packs {skill.pack} items into a call, and none of its checks holds an answer against its item: "
            "add one (`grounded`, `citations`, `expression`), or answers may be another item's"
        )
    return found


def _job_problems(document: Document) -> tuple[Problem, ...]:
    try:
        job = job_of(document)
        skills = job.catalogue.parts(job.workflow).skills.values() if job.workflow else ()
    except ConfigError as error:
        return error.problems
    except UserError as error:
        return (Problem(document.file, None, in_one_line(error)),)
    return tuple(
        Problem(document.file, None, f"skill '{skill.name}': {flaw.where}: {flaw.text}")
        for skill in skills
        for flaw in _function_flaws(skill, job.functions)
    )


def _function_flaws(skill: Skill, folders: tuple[Path, ...]) -> list[Flaw]:
    checks = [
        (("checks", n, "path"), check.path) for n, check in enumerate(skill.checks) if isinstance(check, Executable)
    ]
    compared = [(("compare", at), one.by) for at, one in skill.compare.items() if FUNCTION_PATH.search(one.by)]
    signals = [(("confidence", n, "path"), signal.path) for n, signal in enumerate(skill.confidence) if signal.path]
    flaws = []
    repairs = [(("repair",), skill.repair)] if skill.repair else []
    for at, path in (*repairs, *checks, *signals, *compared):
        try:
            load(path, folders=folders)
        except UserError as error:
            flaws.append(Flaw(at, in_one_line(error)))
    return flaws


def _catalogue_of(home: Path | None) -> Catalogue:
    """Return the catalogue as a file in `home` sees it: built-in files, the user's, and its neighbours."""
    homes = get_settings().homes
    if home is not None and home.parent.name == TENANTS:
        return load_catalogue((*homes, home.parents[1]), tenant=home.name)
    return load_catalogue((*homes, *([home] if home else [])))


def _home(file: Path) -> Path | None:
    """Return the folder that holds `skills/` and the like around a file; None for a built-in one or one on its own."""
    folder = file.absolute().parent
    home = folder.parent if folder.name in FOLDERS else None
    return None if home == BUILT_IN.absolute() else home


def _found(folder: Path) -> Iterator[Path]:
    count = 0
    for file in _files(folder):
        if file.parent.name in FOLDERS or any(Path(file.stem).match(name) for name in _JOB_NAMES):
            yield file
            count += 1
        if count > MAX_FILES:
            raise UserError(f"expected a project of at most {MAX_FILES} configuration files, got more in '{folder}'")


def _files(folder: Path) -> Iterator[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError:
        return
    for path in inside:
        if path.is_dir() and not path.is_symlink():
            if not path.name.startswith(".") and path.name not in _SKIPPED:
                yield from _files(path)
        elif path.suffix in SUFFIXES:
            yield path
