"""A skill from a prompt as people have it: a text, perhaps a JSON Schema, and rows."""

import json
import re
from pathlib import Path

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.config.catalogue.file_kinds import FileKind
from firstline.config.catalogue.own_files import save_own
from firstline.config.catalogue.yaml_text import as_yaml
from firstline.orchestrator.plans.thresholds import signals_for
from firstline.orchestrator.submission.item_reader import read_items
from firstline.schemas.base import JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.skill import InputField, Skill


def skill_of_prompt(prompt: Path, schema: Path | None, *, rows: str | None, gold: str | None) -> tuple[str, Path]:
    """Write the skill of a prompt into the user's own folder; return its name and file.

    The prompt is shown all fields of the rows but `id` and the gold. UserError: a file that cannot be read, a schema
    that is none, or no rows to take the fields from.
    """
    instructions = _read(prompt, "a prompt")
    if not instructions.strip():
        raise UserError(f"{prompt} is empty; expected what the model is told")
    output: JsonObject = _schema(schema) if schema else {"type": "string"}
    name = re.sub(r"[^a-z0-9]+", "_", prompt.stem.lower()).strip("_") or "prompt"
    name = name if name[0].isalpha() else f"prompt_{name}"
    skill = Skill(
        name=name,
        instructions=instructions,
        input={field: InputField() for field in _fields(rows, gold)},
        output=output,
        confidence=signals_for(output),
    )
    return name, save_own(load_catalogue(), FileKind.SKILL, name, as_yaml(skill), by="firstline tune")


def _fields(rows: str | None, gold: str | None) -> list[str]:
    if rows is None or rows == "-":
        raise UserError("--prompt needs --input FILE: the prompt is shown the fields of its rows")
    first = next((item.input for item in read_items(rows) if item.error is None), None)
    left_out = {"id", (gold or "").partition(".")[0]}
    fields = [name for name in first or {} if name not in left_out]
    if not fields:
        raise UserError(f"{rows} has no row with a field to show the prompt")
    return fields


def _schema(file: Path) -> JsonObject:
    try:
        found = json.loads(_read(file, "a JSON Schema"))
    except ValueError as error:
        raise UserError(f"{file}: expected a JSON Schema, but it is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise UserError(f"{file}: expected a JSON Schema as an object, got {type(found).__name__}")
    return found


def _read(file: Path, what: str) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise UserError(f"expected {what} at {file}, but it cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"expected {what} at {file}, but it is no text in UTF-8: {error}") from error
