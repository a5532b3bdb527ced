"""Whether a step's inputs can ever fit its tool: arguments that are not there, and values of another type."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from firstline.config.catalogue.references import Target, target
from firstline.config.errors.error_messages import listed, suggestion
from firstline.schemas.plan import Step
from firstline.schemas.tool import ToolSpec

#: Kind of tool -> argument -> JSON types that it takes; kinds that are missing take what their own code says.
ARGUMENTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "search": {"query": ("string",), "top_k": ("integer", "null")},
    "sql": {"statement": ("string",), "parameters": ("array", "object")},
    "http_get": {"url": ("string",)},
    "python": {"code": ("string",), "stdin": ("string",)},
    "regex_extract": {"text": ("string",), "pattern": ("string",), "ignore_case": ("boolean",)},
    "dates": {"text": ("string",)},
    "units": {"value": ("number",), "unit": ("string",), "to": ("string",)},
    "dedupe": {"texts": ("array",)},
    "split": {"text": ("string",)},
    "gather": {"answers": ("array",), "parts": ("array",)},
}
_TYPES: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}

#: What a reference points at -> its JSON Schema; None where nobody can tell.
SchemaOf = Callable[[Target], Mapping[str, Any] | None]


def input_flaws(step: Step, tool: ToolSpec, schema_of: SchemaOf) -> Iterator[tuple[str, str]]:
    """Yield (argument, why it can never fit) for the inputs of a step that a tool answers."""
    known = ARGUMENTS.get(tool.kind)
    if known is None:
        return
    for name, reference in step.inputs.items():
        if name not in known:
            hint = suggestion(name, known) or f"; it has {listed(known)}"
            yield name, f"tool '{tool.name}' has no argument '{name}'{hint}"
            continue
        if tool.kind == "sql" and name == "statement" and tool.options.get("statement"):
            yield name, f"the statement of tool '{tool.name}' is fixed by its declaration; give `parameters` only"
        kinds = _kinds_of(reference, schema_of)
        if kinds and not any(_fits(kind, known[name]) for kind in kinds):
            takes, brings = " or ".join(known[name]), " or ".join(sorted(kinds))
            yield name, f"argument '{name}' of tool '{tool.name}' takes {takes}, and `{reference}` is {brings}"


def _kinds_of(reference: str, schema_of: SchemaOf) -> set[str]:
    """Return the JSON types that a reference may bring; empty: nobody can tell."""
    pointed = target(reference)
    if pointed is None:
        try:
            return {_TYPES[type(json.loads(reference[1:]))]}
        except ValueError:
            return {"string"}
    kinds = (schema_of(pointed) or {}).get("type", ())
    return {kinds} if isinstance(kinds, str) else set(kinds)


def _fits(kind: str, takes: tuple[str, ...]) -> bool:
    return kind in takes or (kind == "integer" and "number" in takes)
