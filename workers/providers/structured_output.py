"""Ways to ask a model for JSON, strongest first, and what came of them; remembered per endpoint."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from json_repair import repair_json

from firstline.config.json_schema.references import placed
from firstline.config.json_schema.validator import validator_of
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.tier import Model, Structured
from firstline.workers.providers.gateway import Message

#: Name of the only property of the object that a schema without an object at its root is wrapped in.
WRAP = "answer"

_INSTRUCTION = "\n\nAnswer with one JSON value and nothing else. It must satisfy this JSON Schema:\n"

#: Successes in a row after which a malformed answer is the model's slip, not an endpoint that ignores the schema.
_PROVEN = 3

#: Keywords that OpenAI's strict mode does not take (platform.openai.com/docs/guides/structured-outputs).
_NOT_STRICT = frozenset(
    {"allOf", "not", "oneOf", "dependentRequired", "dependentSchemas", "if", "then", "else", "patternProperties"}
    | {"uniqueItems", "minProperties", "maxProperties", "propertyNames", "unevaluatedProperties", "contains", "default"}
)
_THINKING = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_FENCED = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for JSON on one rung: the messages and the parameters that it adds."""

    rung: Structured
    messages: tuple[Message, ...]
    params: JsonObject
    #: The schema as sent: wrapped if its root is no object.
    schema: JsonObject
    wrapped: bool


@dataclass(frozen=True, slots=True)
class Parsed:
    """A JSON value found in an answer, unwrapped."""

    value: Json
    repaired: bool = False
    #: Whether it satisfies the schema; None where nobody looked.
    on_schema: bool | None = None


def ask(rung: Structured, messages: tuple[Message, ...], schema: JsonObject, name: str) -> Asked:
    """Return how to ask for a value of the schema on one rung of the ladder."""
    wrapped = not _is_object(schema)
    sent = wrap(schema) if wrapped else schema
    match rung:
        case Structured.JSON_SCHEMA:
            described: JsonObject = {"name": name, "schema": sent, "strict": is_strict(sent)}
            return Asked(
                rung, messages, {"response_format": {"type": "json_schema", "json_schema": described}}, sent, wrapped
            )
        case Structured.TOOL_CALL:
            function: JsonObject = {"name": name, "description": "Give the answer.", "parameters": sent}
            choice: JsonObject = {"type": "function", "function": {"name": name}}
            params: JsonObject = {"tools": [{"type": "function", "function": function}], "tool_choice": choice}
            return Asked(rung, messages, params, sent, wrapped)
        case Structured.JSON_OBJECT:
            return Asked(rung, instruct(messages, sent), {"response_format": {"type": "json_object"}}, sent, wrapped)
        case Structured.PROMPT:
            return Asked(rung, instruct(messages, sent), {}, sent, wrapped)


def parse(text: str, asked: Asked, *, validate: bool = False) -> Parsed | None:
    """Find the JSON value in an answer, with json-repair where it is damaged; None if there is none."""
    bare = _THINKING.sub("", text, count=1).strip()
    try:
        return _unwrap(json.loads(bare), asked, repaired=False, validate=validate)
    except ValueError:
        return _repair(bare, asked, validate=validate)


def instruct(messages: tuple[Message, ...], schema: JsonObject) -> tuple[Message, ...]:
    """Add the schema to the system message, where it stays in the static prefix that providers cache."""
    instruction = _INSTRUCTION + json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    if messages and messages[0].get("role") == "system" and isinstance(text := messages[0].get("content"), str):
        return ({**messages[0], "content": text + instruction}, *messages[1:])
    return ({"role": "system", "content": instruction.lstrip()}, *messages)


def without_instruction(messages: Sequence[Message]) -> tuple[tuple[Message, ...], JsonObject | None]:
    """Undo `instruct`: return the messages as they were, and the schema that was asked for in them, if any."""
    first = messages[0].get("content") if messages else None
    if not isinstance(first, str) or _INSTRUCTION.strip() not in first:
        return tuple(messages), None
    before, _, after = first.rpartition(_INSTRUCTION.strip())
    schema = json.loads(after)
    own = before.removesuffix("\n\n")
    return (*(({**messages[0], "content": own},) if own else ()), *messages[1:]), schema


def wrap(schema: JsonObject) -> JsonObject:
    """Return an object schema whose property `answer` is the schema; its references stay good."""
    inner, root = placed(schema, f"/properties/{WRAP}")
    outer: JsonObject = {
        "type": "object",
        "properties": {WRAP: inner},
        "required": [WRAP],
        "additionalProperties": False,
    }
    return outer | root


def is_strict(schema: Json) -> bool:
    """Say whether OpenAI's strict mode takes the schema.

    Every object must list all its properties as required and allow no others; some keywords are not taken.
    """
    match schema:
        case dict():
            return _is_closed(schema) and not _NOT_STRICT & schema.keys() and all(map(is_strict, _subschemas(schema)))
        case list():
            return all(map(is_strict, schema))
        case _:
            return True


def _is_closed(schema: JsonObject) -> bool:
    if schema.get("type") != "object" and "properties" not in schema:
        return True
    properties, required = schema.get("properties"), schema.get("required")
    listed = isinstance(properties, dict) and isinstance(required, list) and set(properties) == set(map(str, required))
    return listed and schema.get("additionalProperties") is False


def _subschemas(schema: JsonObject) -> list[Json]:
    """Return the schemas in a schema; names of properties and definitions are no keywords."""
    found: list[Json] = [schema[name] for name in ("items", "anyOf", "prefixItems") if name in schema]
    for name in ("properties", "$defs", "definitions"):
        named = schema.get(name)
        found.extend(named.values() if isinstance(named, dict) else ())
    return found


def _is_object(schema: JsonObject) -> bool:
    return schema.get("type") == "object" or ("type" not in schema and "properties" in schema)


def _repair(text: str, asked: Asked, *, validate: bool) -> Parsed | None:
    if fenced := _FENCED.match(text):
        text = fenced[1]
    if asked.wrapped and text in _labels(asked.schema):
        return Parsed(text, repaired=True, on_schema=True)
    if "{" not in text and "[" not in text:
        return None
    found = repair_json(text, return_objects=True)
    if not isinstance(found, dict | list) or not found:
        return None
    return _unwrap(found, asked, repaired=True, validate=validate)


def _labels(wrapped: JsonObject) -> list[Json]:
    match wrapped:
        case {"properties": {"answer": {"enum": list() as labels}}}:
            return labels
        case _:
            return []


def _unwrap(found: Json, asked: Asked, *, repaired: bool, validate: bool) -> Parsed:
    """Take the value out of its wrapping; a model that answered the bare value is understood as well."""
    whole = {WRAP: found} if asked.wrapped and not (isinstance(found, dict) and WRAP in found) else found
    on_schema = validator_of(asked.schema).is_valid(whole) if validate else None
    value = whole[WRAP] if asked.wrapped and isinstance(whole, dict) else whole
    return Parsed(value, repaired, on_schema)


@dataclass(slots=True)
class _Endpoint:
    """What is known of one endpoint's rungs."""

    rungs: list[Structured]
    streak: dict[Structured, int] = field(default_factory=dict)
    ignored: dict[Structured, int] = field(default_factory=dict)


class Memory:
    """Which rungs each endpoint (model name and base URL) is known to take, for the life of the process.

    `can` says beforehand whether a rung is worth a try with a model.
    """

    def __init__(self, can: Callable[[Model, Structured], bool] = lambda *_: True) -> None:
        self._can = can
        self._endpoints: dict[tuple[str, str | None], _Endpoint] = {}

    def rungs(self, model: Model) -> tuple[Structured, ...]:
        """Return the rungs still worth trying, strongest first; never none."""
        return tuple(self._of(model).rungs)

    def is_proven(self, model: Model, rung: Structured) -> bool:
        """Say whether the rung has worked often enough that a bad answer is no reason to leave it."""
        return self._of(model).streak.get(rung, 0) >= _PROVEN

    def worked(self, model: Model, rung: Structured, *, instead_of: Sequence[Structured] = ()) -> None:
        """Remember a good answer, and the rungs above that were refused on the way to it."""
        for refused in instead_of:
            self.refused(model, refused)
        known = self._of(model)
        known.streak[rung] = known.streak.get(rung, 0) + 1
        known.ignored.pop(rung, None)

    def refused(self, model: Model, rung: Structured) -> None:
        """Remember that the endpoint does not take the rung: it is not tried again, unless it has worked before."""
        known = self._of(model)
        if rung in known.rungs[:-1] and not known.streak.get(rung):
            known.rungs.remove(rung)

    def ignored(self, model: Model, rung: Structured) -> None:
        """Remember an answer without regard for the schema; the second without a good one between is a refusal."""
        known = self._of(model)
        known.ignored[rung] = known.ignored.get(rung, 0) + 1
        if known.ignored[rung] > 1:
            self.refused(model, rung)

    def _of(self, model: Model) -> _Endpoint:
        key = (model.name, model.api_base)
        if key not in self._endpoints:
            able = [rung for rung in model.structured if self._can(model, rung)]
            self._endpoints[key] = _Endpoint(able or [Structured.PROMPT])
        return self._endpoints[key]
