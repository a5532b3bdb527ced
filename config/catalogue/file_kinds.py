"""Kinds of configuration files: which fields give each away, and which folder each lives in."""

from collections.abc import Mapping
from enum import StrEnum

from firstline.config.catalogue.yaml_file import Document
from firstline.config.errors.error_messages import ConfigError, Problem, listed


class FileKind(StrEnum):
    """What a YAML file of ours declares; the value is the noun in messages."""

    SKILL = "skill"
    WORKFLOW = "workflow"
    PROFILE = "profile"
    TOOL = "tool"
    JOB = "job"


FOLDERS = {
    "skills": FileKind.SKILL,
    "workflows": FileKind.WORKFLOW,
    "tiers": FileKind.PROFILE,
    "tools": FileKind.TOOL,
}

_SIGNS = (
    ("workflow", FileKind.JOB),
    ("goal", FileKind.JOB),
    ("instructions", FileKind.SKILL),
    ("steps", FileKind.WORKFLOW),
    ("tiers", FileKind.PROFILE),
    ("kind", FileKind.TOOL),
)

SIGNS_IN_WORDS = (
    "a job file (`workflow:` or `goal:`), a skill (`instructions:`), a workflow (`steps:`), "
    "a profile (`tiers:`) or a tool (`kind:`)"
)


def kind_of(data: Mapping[str, object]) -> FileKind | None:
    """Return what the fields of a file give it away as, or None."""
    return next((kind for sign, kind in _SIGNS if sign in data), None)


def expect_kind(document: Document, kind: FileKind) -> None:
    """Raise ConfigError when a file gives itself away as something else than `kind`."""
    came = kind_of(document.data)
    if came is not kind:
        got = f"a {came} file" if came else f"the fields {listed(document.data)}"
        raise ConfigError([Problem(document.file, 1, f"expected a {kind} file, got {got}; there are {SIGNS_IN_WORDS}")])
