"""The one maker of JSON Schema validators: every draft, formats checked, nothing fetched, bounded work."""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema_rs import FancyRegexOptions, RegexOptions, ValidationError, ValidationErrorKind, validator_for
from pydantic_core import from_json, to_json

from firstline.config.errors.error_messages import Location, listed, suggestion
from firstline.config.json_schema.bounds import (
    BACKTRACK_STEPS,
    MAX_EXPANSION,
    MAX_PATTERNS,
    MAX_WORK,
    Growth,
    Size,
    shape_flaw,
    size_of,
)
from firstline.config.json_schema.dialect import is_old, standard
from firstline.config.json_schema.formats import CHECKS
from firstline.config.json_schema.keywords import parts, rebuilt
from firstline.config.json_schema.patterns import is_linear, translated, weight
from firstline.config.json_schema.references import pointed
from firstline.config.json_schema.sentences import Misfit, misfits_of, shortened
from firstline.config.json_schema.unions import told_apart
from firstline.schemas.base import Json, JsonObject

#: Deeper values are not looked at: nobody writes them, and each level is a frame of the engine's.
MAX_VALUE_DEPTH = 200
#: Of a value with more parts than this, only the first misfit is told: the engine would write out all of them.
_ALL_MISFITS_UP_TO = 2_000
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
#: A pattern that may go back weighs like so many comparisons.
_BACKTRACKING_WEIGHT = 1_000


class SchemaFault(ValueError):
    """A schema that cannot be used, and where in it the fault stands."""

    def __init__(self, at: Location, text: str) -> None:
        self.at = at
        self.text = text
        super().__init__(f"{'.'.join(map(str, at))}: {text}" if at else text)


class Validator:
    """A schema made ready to hold values against; made once, used often, from any thread.

    Drafts 4 to 2020-12 by `$schema` (2020-12 without one), with `nullable`; formats are checked; numbers are decimals
    (19.99 is a multiple of 0.01); patterns are ECMA-262's. SchemaFault: the schema is none, or makes too much work.
    """

    def __init__(self, schema: JsonObject) -> None:
        if flaw := shape_flaw(schema):
            raise SchemaFault((), f"the schema {flaw}")
        written = standard(schema)
        for fault in _faults(written):
            raise fault
        self._written = written
        linear = all(is_linear(pattern) for _, pattern in _patterns(written, ()))
        self._engine = _engine(written, linear=linear)
        self._growth = _growth(written, linear=linear)

    def is_valid(self, value: Json) -> bool:
        """Say whether a value fits the schema."""
        return not self.misfits(value, most=1)

    def misfits(self, value: Json, *, most: int = 5) -> tuple[Misfit, ...]:
        """Return where a value departs from the schema, at most so many; none: it fits."""
        size = size_of(value)
        if (refusal := self._refusal(size)) is not None:
            return (Misfit((), refusal),)
        try:
            return () if self._engine.is_valid(value) else self._found(value, size, most)
        except UnicodeEncodeError:
            return (Misfit((), "holds half a character (an unpaired surrogate); expected whole characters"),)
        except (ValueError, OverflowError) as error:
            return (Misfit((), f"could not be checked: {shortened(str(error), 200)}"),)

    def _refusal(self, size: Size) -> str | None:
        if size.depth > MAX_VALUE_DEPTH:
            return f"is nested {size.depth} levels deep; at most {MAX_VALUE_DEPTH} are taken"
        if (work := self._growth.work(size)) > MAX_WORK:
            return (
                f"could not be checked: {size.nodes:,} parts on {size.depth} levels would take about {work:,} "
                f"comparisons with this schema, {MAX_WORK:,} are allowed"
            )
        return None

    def _found(self, value: Json, size: Size, most: int) -> tuple[Misfit, ...]:
        if size.nodes <= _ALL_MISFITS_UP_TO:
            return tuple(islice(misfits_of(self._engine.iter_errors(value), self._written), most)) or _UNEXPLAINED
        try:
            self._engine.validate(value)
        except ValidationError as error:
            return tuple(misfits_of([error], self._written))
        return _UNEXPLAINED


def validator_of(schema: JsonObject) -> Validator:
    """Return the validator of a schema, made once for all schemas that are written alike; SchemaFault as there."""
    return _made(to_json(schema))


@lru_cache(maxsize=512)
def _made(schema: bytes) -> Validator:
    return Validator(from_json(schema))


#: What holds a number that JSON does not have fits nothing, and the engine has no error for it.
_UNEXPLAINED = (Misfit((), "holds a value that JSON does not have, such as NaN or infinity"),)


def schema_faults(schema: JsonObject) -> list[SchemaFault]:
    """Return all that is wrong with a schema, with places; none: it can be used."""
    if shape_flaw(schema) is None and (found := list(_faults(standard(schema)))):
        return found
    try:
        Validator(schema)
    except SchemaFault as fault:
        return [fault]
    return []


def _faults(schema: JsonObject) -> Iterator[SchemaFault]:
    """Yield why a schema (as `standard` writes it) is none, with places."""
    named = schema.get("$schema", _DRAFT)
    try:
        meta = validator_for({"$schema": named, "$ref": named}, offline=True) if isinstance(named, str) else None
    except (ValidationError, ValueError):
        meta = None
    if meta is None:
        yield SchemaFault(("$schema",), f"expected a draft of JSON Schema from 4 to 2020-12, got {named!r}")
        return
    wrong = False
    for misfit in islice(misfits_of(meta.iter_errors(schema), {}), 5):
        wrong = True
        yield SchemaFault(misfit.at, _meta_sentence(misfit, schema))
    if not wrong:
        yield from _pattern_faults(schema)


def _meta_sentence(misfit: Misfit, schema: JsonObject) -> str:
    here: Any = schema
    for part in misfit.at:
        here = here[part]
    if misfit.at[-1:] == ("type",) and isinstance(here, str):
        return f"expected a type of JSON ({listed(_TYPES)}), got '{here}'{suggestion(here, _TYPES)}"
    return f"no valid JSON Schema: {misfit.text}"


def _pattern_faults(schema: JsonObject) -> Iterator[SchemaFault]:
    found = list(_patterns(schema, ()))
    if sum(weight(pattern) for _, pattern in found) > MAX_PATTERNS:
        yield SchemaFault((), "the schema's patterns are too many and too long, with their repetitions written out")
        return
    for at, pattern in found:
        if not is_linear(pattern) and not _is_pattern(pattern):
            yield SchemaFault(
                at, f"expected a pattern as ECMA-262 has them (JavaScript's), got {shortened(pattern, 100)!r}"
            )


def _is_pattern(pattern: str) -> bool:
    try:
        validator_for({"pattern": translated(pattern, linear=False)}, pattern_options=_BOUNDED)
    except (ValidationError, ValueError):
        return False
    return True


def _patterns(schema: JsonObject, at: Location) -> Iterator[tuple[Location, str]]:
    if isinstance(pattern := schema.get("pattern"), str):
        yield (*at, "pattern"), pattern
    if isinstance(named := schema.get("patternProperties"), dict):
        yield from (((*at, "patternProperties", name), name) for name in named)
    for part in parts(schema):
        yield from _patterns(part.schema, (*at, *part.steps))


_BOUNDED = FancyRegexOptions(backtrack_limit=BACKTRACK_STEPS)


def _engine(schema: JsonObject, *, linear: bool) -> Any:
    def change(part: JsonObject) -> JsonObject:
        return _translated(told_apart(part, lambda reference: pointed(schema, reference)), linear=linear)

    options: dict[str, Any] = {
        "validate_formats": True,
        "formats": CHECKS if is_old(schema) else None,
        "offline": True,
        "pattern_options": RegexOptions() if linear else _BOUNDED,
    }
    try:
        return validator_for(rebuilt(schema, change), **options)
    except ValidationError as error:
        if not isinstance(error.kind, ValidationErrorKind.Referencing):
            raise SchemaFault(tuple(error.instance_path), shortened(error.message, 300)) from None
    plain = rebuilt(schema, lambda part: _translated(part, linear=linear))
    try:  # a reference may point into a union that was rewritten
        return validator_for(plain, **options)
    except ValidationError as error:
        raise _unresolved(error, schema) from None


def _translated(schema: JsonObject, *, linear: bool) -> JsonObject:
    told: JsonObject = {}
    if isinstance(pattern := schema.get("pattern"), str):
        told["pattern"] = translated(pattern, linear=linear)
    if isinstance(named := schema.get("patternProperties"), dict):
        told["patternProperties"] = {translated(name, linear=linear): part for name, part in named.items()}
    return schema | told


def _unresolved(error: ValidationError, schema: JsonObject) -> SchemaFault:
    """Return the fault of a reference that leads out of the schema or nowhere, at its place."""
    named = re.search(r"^\w+ '([^']*)'", error.message)
    told = named[1] if named else ""
    places = list(_references(schema, ()))
    at, reference = next(
        (place for place in places if told and (told.lstrip("#") in place[1] or place[1] in told)), ((), told)
    )
    where = f"expected a reference within the schema (`#/...`), got '{reference}'"
    return SchemaFault(at, f"{where}; it is not there, and nothing is fetched")


def _references(schema: JsonObject, at: Location) -> Iterator[tuple[Location, str]]:
    for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
        if isinstance(reference := schema.get(keyword), str):
            yield (*at, keyword), reference
    for part in parts(schema):
        yield from _references(part.schema, (*at, *part.steps))


def _growth(schema: JsonObject, *, linear: bool) -> Growth:
    growth = Growth(schema, backtracking=1 if linear else _BACKTRACKING_WEIGHT)
    if (expansion := growth.expansion) is None:
        raise SchemaFault((), "the schema refers to itself without end, at one and the same place of a value")
    if expansion > MAX_EXPANSION:
        raise SchemaFault(
            (),
            f"the schema makes {expansion:,} comparisons at one place of a value; at most {MAX_EXPANSION:,} are taken",
        )
    return growth
