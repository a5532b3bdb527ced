"""What people write for JSON Schema and no draft has, in the drafts' own words."""

import re

from firstline.config.json_schema.keywords import DEFINITIONS, rebuilt
from firstline.schemas.base import Json, JsonObject

_2020 = "https://json-schema.org/draft/2020-12/schema"
_OLD = re.compile(r"https?://json-schema\.org/draft-(0[3467])/schema#?")
_NEW = re.compile(r"https?://json-schema\.org/draft/(2019-09|2020-12)/schema#?")
_LATEST = re.compile(r"https?://json-schema\.org/schema#?")
#: Keywords that hold for the document, and stay at a root.
ROOT = frozenset({"$schema", "$id", "$vocabulary", "components", *DEFINITIONS})


def standard(schema: JsonObject) -> JsonObject:
    """Return the schema with `nullable` (OpenAPI 3.0) as a type and `$schema` as its draft spells it."""
    written = rebuilt(schema, _without_nullable)
    return written | {"$schema": _draft(written["$schema"])} if "$schema" in written else written


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
