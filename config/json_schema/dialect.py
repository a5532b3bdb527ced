"""What people write for JSON Schema and no draft has, in the drafts' own words."""

import re

from firstline.config.json_schema.keywords import DEFINITIONS, rebuilt
from firstline.schemas.base import Json, JsonObject

_2020 = "https://json-schema.org/draft/2020-12/schema"
_OLD = re.compile(r"https?://json-schema\.org/draft-(0[3467])/schema#?")
_NEW = re.compile(r"https?://json-schema\.org/draft/(2019-09|2020-12)/schema#?")
_LATEST = re.compile(r"https?://json-schema\.org/schema#?")
_BOOLEAN_BOUNDS = frozenset(f"http://json-schema.org/draft-0{n}/schema#" for n in (3, 4))
_TUPLE_PLACE = re.compile(r"(?<!/properties)/items/(?=\d)")
#: Keywords that hold for the document, and stay at a root.
ROOT = frozenset({"$schema", "$id", "$vocabulary", "components", *DEFINITIONS})


def standard(schema: JsonObject) -> JsonObject:
    """Return the schema with `nullable` (OpenAPI 3.0) as a type and `$schema` as its draft spells it.

    One without `$schema` may have the keywords of any draft.
    """
    written = rebuilt(schema, _without_nullable)
    if "$schema" not in written:
        return latest(written)
    named = _draft(written["$schema"])
    return (written if named in _BOOLEAN_BOUNDS else rebuilt(written, _bounded)) | {"$schema": named}


def latest(schema: JsonObject) -> JsonObject:
    """Return the schema with what drafts up to 7 write in another way written as 2020-12 has it, without `$schema`."""
    written = rebuilt(schema, _latest)
    return {keyword: value for keyword, value in written.items() if keyword != "$schema"}


def is_old(schema: JsonObject) -> bool:
    """Say whether the schema is of a draft up to 7."""
    named = schema.get("$schema")
    return isinstance(named, str) and _OLD.fullmatch(named) is not None


def _latest(schema: JsonObject) -> JsonObject:
    part = _bounded(schema)
    if isinstance(part.get("items"), list):
        part["prefixItems"] = part.pop("items")
        if "additionalItems" in part:
            part["items"] = part.pop("additionalItems")
    for keyword in ("$ref", "$dynamicRef"):
        if isinstance(reference := part.get(keyword), str) and "#" in reference:
            part[keyword] = _TUPLE_PLACE.sub("/prefixItems/", reference)
    return part


def _bounded(schema: JsonObject) -> JsonObject:
    """Return the schema with bounds that exclude their own value as numbers; OpenAPI 3.0 has them as draft 4."""
    part = dict(schema)
    for bound in ("minimum", "maximum"):
        exclusive = f"exclusive{bound.capitalize()}"
        match part.get(exclusive), part.get(bound):
            case True, int() | float() as limit:
                part[exclusive] = limit
                del part[bound]
            case False, _:
                del part[exclusive]
    return part


def _draft(named: Json) -> Json:
    if not isinstance(named, str):
        return named
    if old := _OLD.fullmatch(named):
        return f"http://json-schema.org/draft-{old[1]}/schema#"
    if new := _NEW.fullmatch(named):
        return f"https://json-schema.org/draft/{new[1]}/schema"
    return _2020 if _LATEST.fullmatch(named) else named


def _without_nullable(schema: JsonObject) -> JsonObject:
    if not isinstance(schema.get("nullable"), bool):
        return schema
    rest = {keyword: value for keyword, value in schema.items() if keyword != "nullable"}
    return _or_null(rest) if schema["nullable"] else rest


def _or_null(schema: JsonObject) -> JsonObject:
    kind, values = schema.get("type"), schema.get("enum")
    kinds = [kind] if isinstance(kind, str) else kind
    if not isinstance(kinds, list) or {"const", "$ref", "allOf", "anyOf", "oneOf", "not", "if"} & schema.keys():
        root = {keyword: value for keyword, value in schema.items() if keyword in ROOT}
        inner = {keyword: value for keyword, value in schema.items() if keyword not in ROOT}
        return root | {"anyOf": [inner, {"type": "null"}]}
    wider = schema | {"type": [*kinds, *(["null"] if "null" not in kinds else [])]}
    return wider | {"enum": [*values, None]} if isinstance(values, list) and None not in values else wider
