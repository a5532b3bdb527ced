"""What keeps data from being a model, each flaw at its place in the data and in our words."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from firstline.config.errors.error_messages import Flaw, Location, close, listed, sentence, shown, suggestion, wanted

M = TypeVar("M", bound=BaseModel)

#: Fields whose value is not repeated in messages: people paste keys into them.
_DISCREET = frozenset({"api_key_env", "api_base", "params", "webhook_url"})

#: A list whose elements are all refused also counts as too short.
_REPEATING = frozenset(
    {"string_type", "model_type", "model_attributes_type", "tuple_type", "list_type", "dict_type", "too_short"}
)


def model_flaws(model: type[M], data: Mapping[str, Any]) -> tuple[M | None, tuple[Flaw, ...]]:
    """Return the model, or None and every flaw of `data`."""
    try:
        return model.model_validate(data), ()
    except ValidationError as error:
        return None, tuple(_flaws(model, data, error.errors()))


def _flaws(model: type[BaseModel], data: Mapping[str, Any], errors: Sequence[ErrorDetails]) -> list[Flaw]:
    schema = model.model_json_schema()
    placed = _without_repeats([(_place(data, error), error) for error in errors])
    renamed = _renamed(placed, schema)
    found: dict[tuple[Location, bool], list[str]] = {}
    for at, error in placed:
        if at in renamed.values() and error["type"] == "missing":
            continue
        named = error["type"] in ("missing", "extra_forbidden")
        found.setdefault((at, named), []).append(_text(at, error, schema, renamed))
    return [Flaw(at, _merged(texts), named) for (at, named), texts in found.items()]


def _place(data: object, error: ErrorDetails) -> Location:
    """Return where an error is in the data: pydantic's `loc` also holds the names of union members."""
    at: list[int | str] = []
    for part in error["loc"]:
        is_key = isinstance(data, Mapping) and part in data
        is_position = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if is_key or is_position:
            at.append(part)
            data = data[part]  # type: ignore[index]
    if error["type"] == "missing":
        at.append(error["loc"][-1])
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        at.append(str(error["ctx"]["discriminator"]).strip("'"))
    return tuple(at)


def _without_repeats(placed: list[tuple[Location, ErrorDetails]]) -> list[tuple[Location, ErrorDetails]]:
    """Drop what only repeats flaws further inside: "expected text" where the data chose the mapping."""

    def deeper(at: Location, error: ErrorDetails) -> bool:
        return error["type"] in _REPEATING and any(
            other[: len(at)] == at and len(other) > len(at) for other, _ in placed
        )

    return [(at, error) for at, error in placed if not deeper(at, error)]


def _renamed(placed: list[tuple[Location, ErrorDetails]], schema: Mapping[str, Any]) -> dict[Location, Location]:
    """Match each unknown field with the missing field that it was probably meant to be."""
    missing = {at for at, error in placed if error["type"] == "missing"}
    pairs: dict[Location, Location] = {}
    for at, error in placed:
        if error["type"] == "extra_forbidden":
            around = [str(other[-1]) for other in missing if other[:-1] == at[:-1]]
            match = close(str(at[-1]), around)
            if match:
                pairs[at] = (*at[:-1], match)
    return pairs


def _text(at: Location, error: ErrorDetails, schema: Mapping[str, Any], renamed: Mapping[Location, Location]) -> str:
    name = str(at[-1]) if at else ""
    match error["type"]:
        case "extra_forbidden":
            known = [str(renamed[at][-1])] if at in renamed else _fields(schema, error["loc"][:-1])
            return (
                f"unknown field '{name}'{suggestion(name, known) or f'; known here: {listed(sorted(known), most=30)}'}"
            )
        case "missing":
            return f"missing field '{name}'; add `{name}:`"
        case "union_tag_not_found":
            return f"missing; expected one of {listed(_tags(schema, error['loc']), most=20)}"
        case "union_tag_invalid":
            tags = [tag.strip("' ") for tag in str(error["ctx"]["expected_tags"]).split(",")]
            got = str(error["ctx"]["tag"])
            return f"expected one of {listed(tags, most=20)}, got {shown(got)}{suggestion(got, tags)}"
        case "literal_error" | "enum":
            options = [option.strip("' ") for option in wanted(error).replace(" or ", ", ").split(",")]
            return sentence(error) + suggestion(str(error["input"]), options)
    return sentence(error, show=_DISCREET.isdisjoint(map(str, at)))


def _merged(texts: Sequence[str]) -> str:
    """Join what the members of a union expected: `expected text or a mapping, got 3`."""
    distinct = list(dict.fromkeys(texts))
    if len(distinct) == 1 or not all(text.startswith("expected ") and ", got " in text for text in distinct):
        return "; ".join(distinct)
    wants = [text.removeprefix("expected ").rsplit(", got ", 1)[0] for text in distinct]
    return f"expected {' or '.join(wants)}, got {distinct[-1].rsplit(', got ', 1)[1]}"


def _fields(schema: Mapping[str, Any], loc: Sequence[int | str]) -> list[str]:
    return list(_descend(schema, loc).get("properties", ()))


def _tags(schema: Mapping[str, Any], loc: Sequence[int | str]) -> list[str]:
    return list(_descend(schema, loc).get("discriminator", {}).get("mapping", ()))


def _descend(root: Mapping[str, Any], loc: Sequence[int | str]) -> Mapping[str, Any]:
    """Return the part of a JSON Schema that describes `loc`, pydantic's own path with union members in it."""
    here = root
    for part in loc:
        here = _step(_resolved(root, here), part, root)
    return _resolved(root, here)


def _resolved(root: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = root["$defs"][str(schema["$ref"]).rsplit("/", 1)[1]]
    members = [member for member in schema.get("anyOf", ()) if member.get("type") != "null"]
    return _resolved(root, members[0]) if len(members) == 1 else schema


def _step(schema: Mapping[str, Any], part: int | str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(part, int):
        return schema.get("items") or next((m["items"] for m in schema.get("anyOf", ()) if "items" in m), {})
    mapping = schema.get("discriminator", {}).get("mapping", {})
    if part in mapping:
        return {"$ref": mapping[part]}
    if part in schema.get("properties", {}):
        return schema["properties"][part]  # type: ignore[no-any-return]
    member = next((m for m in schema.get("anyOf", ()) if str(m.get("$ref", "")).endswith(f"/{part}")), None)
    extra = schema.get("additionalProperties")
    return member or (extra if isinstance(extra, Mapping) else {})
