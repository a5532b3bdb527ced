"""Ways to ask a model for JSON, strongest first."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from firstline.config.json_schema.references import placed
from firstline.config.json_schema.subsets import ANTHROPIC, GEMINI, OPENAI, Strict, strict_subset, without_nulls
from firstline.config.json_schema.validator import validator_of
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.tier import Model, Structured
from firstline.workers.providers.answer_reader import Form
from firstline.workers.providers.gateway import Message

#: Name of the only property of the object that a schema without an object at its root is wrapped in.
WRAP = "answer"

_INSTRUCTION = "\n\nAnswer with one JSON value and nothing else. It must satisfy this JSON Schema:\n"

#: Hosts of the providers themselves: another server of the same wire format has limits of its own.
_OWN_HOST = re.compile(r"^https://[\w.-]*(?:openai\.com|openai\.azure\.com|googleapis\.com|anthropic\.com)(?:[:/]|$)")
#: Keywords that OpenAI's strict mode does not take (platform.openai.com/docs/guides/structured-outputs).
_NOT_STRICT = frozenset(
    {"allOf", "not", "oneOf", "dependentRequired", "dependentSchemas", "if", "then", "else", "patternProperties"}
    | {"uniqueItems", "minProperties", "maxProperties", "propertyNames", "unevaluatedProperties", "contains", "default"}
)


@dataclass(frozen=True, slots=True)
class ModeRequest:
    """A request for JSON in one mode: the messages and the parameters that it adds."""

    mode: Structured
    messages: tuple[Message, ...]
    params: JsonObject
    #: The schema as sent: wrapped if its root is no object.
    schema: JsonObject
    wrapped: bool
    #: A provider's strict mode was given a form in which what may be absent is null instead.
    has_nulls: bool = False

    def plain(self, value: Json) -> Json:
        """Return an answer without the nulls that only a strict mode's form asked for."""
        if not self.has_nulls:
            return value
        whole = without_nulls({WRAP: value} if self.wrapped else value, self.schema)
        return whole[WRAP] if self.wrapped and isinstance(whole, dict) else whole

    @property
    def form(self) -> Form:
        """The form of the answer itself, for who reads it."""
        match self.schema:
            case {"properties": {"answer": dict() as bare}} if self.wrapped:
                return Form(bare, self._fits, WRAP, root=self.schema)
            case _:
                return Form(self.schema, self._fits, WRAP if self.wrapped else None)

    def _fits(self, value: Json) -> bool:
        whole: Json = {WRAP: self.plain(value)} if self.wrapped else self.plain(value)
        try:
            return validator_of(self.schema).is_valid(whole)
        except ValueError:  # a schema that cannot be applied: the checks say so of every answer
            return True


def strict_of(model: Model) -> Strict | None:
    """Return what a model's own provider takes in strict mode; None: nothing is known of its server."""
    provider, _, name = model.name.partition("/")
    if model.api_base is not None and not _OWN_HOST.search(model.api_base):
        return None
    match provider:
        case "openai" | "azure":
            return OPENAI
        case "gemini":
            return GEMINI
        case "vertex_ai" if name.startswith("gemini"):
            return GEMINI
        case "anthropic":
            return ANTHROPIC
        case _:
            return None


def ask(
    mode: Structured, messages: tuple[Message, ...], schema: JsonObject, name: str, strict: Strict | None = None
) -> ModeRequest:
    """Return how to ask for a value of the schema in one mode; the schema is sent as a strict mode takes it.

    What its form leaves out is still in the prompt's outline, and the full schema decides of the answer.
    """
    wrapped = not _is_object(schema)
    sent = wrap(schema) if wrapped else schema
    match mode:
        case Structured.JSON_SCHEMA:
            loosened = strict_subset(sent, strict) if strict is not None and not is_strict(sent) else None
            form = sent if loosened is None else loosened
            described: JsonObject = {"name": name, "schema": form, "strict": is_strict(form)}
            asked: JsonObject = {"response_format": {"type": "json_schema", "json_schema": described}}
            has_nulls = loosened is not None and strict is not None and strict.all_required
            return ModeRequest(mode, messages, asked, sent, wrapped, has_nulls)
        case Structured.TOOL_CALL:
            function: JsonObject = {"name": name, "description": "Give the answer.", "parameters": sent}
            choice: JsonObject = {"type": "function", "function": {"name": name}}
            params: JsonObject = {"tools": [{"type": "function", "function": function}], "tool_choice": choice}
            return ModeRequest(mode, messages, params, sent, wrapped)
        case Structured.JSON_OBJECT:
            return ModeRequest(
                mode, instruct(messages, sent), {"response_format": {"type": "json_object"}}, sent, wrapped
            )
        case Structured.PROMPT:
            return ModeRequest(mode, instruct(messages, sent), {}, sent, wrapped)
        case Structured.DECISIONS:
            raise ValueError("a decision model is asked questions, not for JSON")


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

    Every object must list all its properties as required and allow no others; some keywords are not taken, and none
    beside a reference.
    """
    match schema:
        case dict() if "$ref" in schema and len(schema) > 1:
            return False
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
