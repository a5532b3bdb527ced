"""JSON Schemas of the YAML files, for editors: they complete fields and mark mistakes while one writes."""

import inspect
import re
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from firstline.config.catalogue.file_kinds import FileKind
from firstline.schemas.base import JsonObject
from firstline.schemas.comparator import Comparator
from firstline.schemas.jobfile import JobFile
from firstline.schemas.plan import Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile
from firstline.schemas.tool import ToolSpec

#: What each kind of file is read as, and the fields that its place gives it where it leaves them out.
_MODELS: dict[FileKind, tuple[type[BaseModel], tuple[str, ...]]] = {
    FileKind.SKILL: (Skill, ("name",)),
    FileKind.WORKFLOW: (Workflow, ("name",)),
    FileKind.PROFILE: (Profile, ("name",)),
    FileKind.TOOL: (ToolSpec, ("name",)),
    FileKind.JOB: (JobFile, ()),
}
_FIELD = re.compile(r"((?:^    #: .*\n(?:    #: ?.*\n)*))    (\w+):", re.MULTILINE)


class _Described(GenerateJsonSchema):
    """Writes what stands above a field in the code beside it."""

    def model_schema(self, schema: Any) -> Any:
        found, model = super().model_schema(schema), schema["cls"]
        fields = found.get("properties", {})
        for name, said in _comments(model).items():
            if name in fields:
                fields[name].setdefault("description", said)
        if model is Skill:
            fields["compare"] = _or_a_word(fields["compare"])
        return _or_a_word(found) if model is Comparator else found


def _or_a_word(schema: Any) -> Any:
    """Return a schema of something that one word may stand for."""
    return {"anyOf": [{"type": "string"}, schema]}


@cache
def _comments(model: type[BaseModel]) -> dict[str, str]:
    lines = {}
    for base in reversed([one for one in model.__mro__ if issubclass(one, BaseModel) and one is not BaseModel]):
        for comment, name in _FIELD.findall(inspect.getsource(base)):
            lines[name] = " ".join(line.strip().removeprefix("#:").strip() for line in comment.splitlines())
    return lines


def file_schema(kind: FileKind) -> JsonObject:
    """Return the JSON Schema (2020-12) of a kind of file."""
    model, given = _MODELS[kind]
    found: JsonObject = model.model_json_schema(schema_generator=_Described)
    required = found.get("required")
    if isinstance(required, list):
        found["required"] = [name for name in required if name not in given]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": f"Firstline {kind.value}"}
