"""A schema put into another one, with all its references still pointing where they did."""

from typing import NamedTuple
from urllib.parse import unquote, urldefrag

from firstline.config.json_schema.dialect import ROOT
from firstline.config.json_schema.keywords import rebuilt
from firstline.schemas.base import Json, JsonObject

_REFERENCES = ("$ref", "$dynamicRef")


class PlacedSchema(NamedTuple):
    """A schema made ready to stand somewhere within another one."""

    schema: JsonObject
    #: What goes with it to the root of the schema around it: definitions, `$schema`, `$id`.
    root: JsonObject


def placed(schema: JsonObject, pointer: str) -> PlacedSchema:
    """Return the schema ready to stand at a JSON pointer (`/properties/answer`) of another schema.

    Definitions go to the new root, so that `#/$defs/name` stays; other references to places of the schema (`#`,
    `#/properties/a`) follow it. Parts with an `$id` of their own are documents of their own and keep theirs.
    """
    own = urldefrag(str(schema.get("$id", ""))).url
    moved = rebuilt(schema, lambda part: _following(part, pointer, own), leave=_is_document)
    return PlacedSchema(
        {keyword: value for keyword, value in moved.items() if keyword not in ROOT},
        {keyword: value for keyword, value in moved.items() if keyword in ROOT},
    )


def pointed(root: JsonObject, reference: str) -> JsonObject | None:
    """Return the schema of `root` that a local reference (`#`, `#/$defs/name`, `#/items/0`) points to."""
    if not reference.startswith("#") or (reference != "#" and reference[1] != "/"):
        return None
    here: Json = root
    for part in reference[2:].split("/") if len(reference) > 1 else ():
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(here, list) and name.isdecimal() and int(name) < len(here):
            here = here[int(name)]
        else:
            here = here.get(name) if isinstance(here, dict) else None
    return here if isinstance(here, dict) else None


def _is_document(schema: JsonObject) -> bool:
    named = schema.get("$id")
    return isinstance(named, str) and not named.startswith("#")


def _following(schema: JsonObject, pointer: str, own: str) -> JsonObject:
    told = {name: _followed(schema[name], pointer, own) for name in _REFERENCES if isinstance(schema.get(name), str)}
    return schema | told


def _followed(reference: Json, pointer: str, own: str) -> Json:
    document, fragment = urldefrag(str(reference))
    if (document and document != own) or (fragment and not fragment.startswith("/")):
        return reference
    first = fragment[1:].partition("/")[0]
    return reference if first in ROOT else f"{document}#{pointer}{fragment}"
