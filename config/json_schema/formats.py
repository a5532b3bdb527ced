"""Names of `format` that are checked, in schemas of every draft, and those that nothing checks."""

from collections.abc import Callable, Iterator

from jsonschema_rs import validator_for

from firstline.config.errors.error_messages import Location, listed, suggestion
from firstline.config.json_schema.keywords import parts
from firstline.schemas.base import JsonObject

#: The formats of draft 2020-12.
KNOWN = (
    "date-time",
    "date",
    "time",
    "duration",
    "email",
    "idn-email",
    "hostname",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uri-reference",
    "iri",
    "iri-reference",
    "uri-template",
    "uuid",
    "json-pointer",
    "relative-json-pointer",
    "regex",
)


def _check(name: str) -> Callable[[str], bool]:
    engine = validator_for({"format": name}, validate_formats=True)
    return lambda text: bool(engine.is_valid(text))


#: What checks a format in drafts that lack it: schemas of draft 7 as people write them have `uuid` and `duration` too.
CHECKS = {name: _check(name) for name in KNOWN}


def unchecked(schema: JsonObject, at: Location = ()) -> Iterator[tuple[Location, str]]:
    """Yield where a schema names a format that nothing checks, with a sentence."""
    name = schema.get("format")
    if isinstance(name, str) and name not in CHECKS:
        hint = suggestion(name, KNOWN) or "; say with `pattern`, `minimum` or `enum` what it is to look like"
        yield (*at, "format"), f"nothing checks the format '{name}'{hint} (checked are {listed(KNOWN, most=20)})"
    for part in parts(schema):
        yield from unchecked(part.schema, (*at, *part.steps))
