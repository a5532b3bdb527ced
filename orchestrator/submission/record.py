"""One record of an input, as it is read: its place, its fields, and what is wrong with it."""

from typing import NamedTuple

from firstline.schemas.base import Json, JsonObject
from firstline.workers.rules.json_bounds import refusal
from firstline.workers.rules.json_text import printable

#: An item longer than this fails alone; no model reads that much.
MAX_ITEM_BYTES = 5_000_000


class Record(NamedTuple):
    """One input record before it has an id."""

    #: Where it stands, as people count: `row 3`, `line 12`.
    place: str
    fields: JsonObject
    error: str | None = None
    #: The id that the place itself gives (a file's name).
    item_id: str | None = None

    def within(self, file: str) -> "Record":
        """Return the record with the file that it stands in, one of several."""
        error = self.error and f"{file}: {self.error}"
        return self._replace(place=f"{self.place} of {file}", error=error)

    def printable(self) -> "Record":
        """Return the record with what is said of it as it can be kept anywhere: it may quote what nobody can encode."""
        return self._replace(place=printable(self.place), error=self.error and printable(self.error))


def as_record(place: str, value: Json, *, size: int = 0) -> Record:
    """Return a value as a record; what is no object, too long, or not to be kept has its reason."""
    if not isinstance(value, dict):
        return Record(place, {}, f"{place} is {_kind(value)}; expected an object with fields")
    reason, length = refusal(value)
    if max(size, length) > MAX_ITEM_BYTES:
        return Record(place, {}, too_long(max(size, length)))
    return Record(place, {}, f"{place} {reason}") if reason else Record(place, value)


def too_long(size: int) -> str:
    """Return the reason why an item of so many bytes is not taken."""
    return f"the item is {size / 1e6:.1f} MB; the limit is {MAX_ITEM_BYTES // 10**6} MB: split it"


def _kind(value: Json) -> str:
    return {str: "a text", bool: "a truth value", list: "a list", type(None): "null"}.get(type(value), "a number")
