"""The base of every model that travels or is stored."""

import hashlib
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic_core import to_json

Json = JsonValue
JsonObject = dict[str, JsonValue]


class Frozen(BaseModel):
    """A value: cannot change, refuses unknown fields, changes by copy."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")

    def evolve(self, **changes: Any) -> Self:
        """Return a copy with `changes`; the changes are not validated again, cached properties are computed anew."""
        copy = self.model_copy(update=changes)
        for name in copy.__dict__.keys() - type(copy).model_fields.keys():
            del copy.__dict__[name]
        return copy


def digest(value: object, *, length: int = 16) -> str:
    """Return the first `length` hex digits of the SHA-256 of a value's canonical JSON (sorted keys)."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return hashlib.sha256(to_json(_sorted(plain))).hexdigest()[:length]


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [_sorted(part) for part in value]
    return value
