"""Whether items bring the fields that a workflow reads, and how others are mapped onto them."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rapidfuzz import fuzz, process

from firstline.orchestrator.submission.item_fields import FieldNeed
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.workers.rules.json_paths import MISSING, Absent, dig

#: How alike two names are (0..100) that may be meant for each other: columns are many, and a wrong guess misleads.
_ALIKE = 75
#: Distinct field names that are remembered of an input.
_NAMES = 200


def parse_mapping(pairs: Iterable[str] | None) -> dict[str, str]:
    """Return field -> column from texts such as `text=body`; UserError for what is no such pair, or stands twice."""
    found: dict[str, str] = {}
    for pair in pairs or ():
        name, sign, column = (part.strip() for part in pair.partition("="))
        if not sign or not name or not column:
            raise UserError(f"--map: expected FIELD=COLUMN such as text=body, got '{pair}'")
        if name in found:
            raise UserError(f"--map: field '{name}' is mapped twice, from '{found[name]}' and from '{column}'")
        found[name] = column
    if "id" in found:
        raise UserError(f"--map: ids come from a column of their own; say --id-field {found['id']}")
    return found


def mapped(items: Iterable[InputItem], mapping: Mapping[str, str]) -> Iterator[InputItem]:
    """Yield items with each field of `mapping` (field -> column or path `a.b`) taken from where it points.

    A column that is mapped goes by its new name alone.
    """
    if not mapping:
        yield from items
        return
    gone = set(mapping.values())
    for item in items:
        taken = {name: value for name, at in mapping.items() if (value := _found(item.input, at)) is not MISSING}
        kept = {name: value for name, value in item.input.items() if name not in gone}
        yield item._replace(input={**kept, **taken})


def _found(fields: JsonObject, at: str) -> Json | Absent:
    """Return what stands at a column, or at a path into one; a column may have a dot in its name."""
    return fields[at] if at in fields else dig(fields, at)


@dataclass
class InputFit:
    """What the items of an input bring of what is read from them; counted as they pass by."""

    needs: Sequence[FieldNeed]
    #: Field -> column that it was taken from.
    mapping: Mapping[str, str] = field(default_factory=dict)
    #: Items that can be read, those that bring all they need, and those that lack a field.
    readable: int = 0
    #: Items that cannot be read, and what is wrong with the first.
    unreadable: int = 0
    first_fault: str | None = None
    fit: int = 0
    lacking: Counter[str] = field(default_factory=Counter)
    columns: Counter[str] = field(default_factory=Counter)
    #: Characters of texts by column: the longest is the likeliest to be what is asked about.
    lengths: Counter[str] = field(default_factory=Counter)

    def watch(self, items: Iterable[InputItem]) -> Iterator[InputItem]:
        """Yield the items, counting them."""
        always = [need for need in self.needs if need.always]
        for item in items:
            if item.error is None:
                lacks = [need.path for need in always if is_absent(dig(item.input, need.path))]
                self.readable += 1
                self.fit += not lacks
                self.lacking.update(lacks)
                self._note(item)
            else:
                self.unreadable += 1
                self.first_fault = self.first_fault or item.error
            yield item

    def _note(self, item: InputItem) -> None:
        for name, value in item.input.items():
            if name in self.columns or len(self.columns) < _NAMES:
                self.columns[name] += 1
                self.lengths[name] += len(value) if isinstance(value, str) else 0

    def refuse_misfit(self, name: str) -> None:
        """Raise a UserError where not one item of the input `name` brings what every item needs."""
        if not self.readable or self.fit:
            return
        # Where no single field lacks everywhere, those that lack most often are named.
        most = max(self.lacking.values())
        missing = [need for need in self.needs if self.lacking[need.path] == most]
        said = "; ".join(self._misses(need, name) for need in missing)
        raise UserError(f"{said}; {self._columns()}{self._cure(missing)}")

    def notes(self) -> tuple[str, ...]:
        """Return for people what only some items are wrong in: those fail alone."""
        lacking = (
            f"{count:,} of {self.readable:,} items have no `{path}` and will fail"
            for path, count in self.lacking.items()
            if self.fit and count
        )
        return (*self._unread(), *lacking)

    def _unread(self) -> Iterator[str]:
        if self.unreadable:
            count = self.unreadable + self.readable
            yield f"{self.unreadable:,} of {count:,} items cannot be read and fail alone; the first: {self.first_fault}"

    def _misses(self, need: FieldNeed, name: str) -> str:
        count = self.lacking[need.path]
        who = "no item" if count == self.readable else f"only {self.readable - count:,} of {self.readable:,} items"
        if (column := self.mapping.get(need.path)) is not None:
            return f"{who} of {name} has `{column}`, which `{need.path}` is mapped from"
        return f"{who} of {name} has `{need.path}`, which step '{need.step}' reads"

    def _columns(self) -> str:
        named = list(self.columns)[:20]
        more = f" and {len(self.columns) - 20} more" if len(self.columns) > 20 else ""
        return f"its fields are: {', '.join(named)}{more}" if named else "its items have no fields"

    def _cure(self, missing: Sequence[FieldNeed]) -> str:
        guesses = {need.path: self.guess(self.mapping.get(need.path, need.path)) for need in missing}
        pairs = {path: column for path, column in guesses.items() if column is not None}
        if not pairs:
            return "; map one with --map FIELD=COLUMN (in a job file: `map:`)"
        flags = " ".join(f"--map {path}={_quoted(column)}" for path, column in pairs.items())
        return f". Did you mean {flags} (in a job file: `map: {{{_yaml(pairs)}}}`)?"

    def guess(self, path: str) -> str | None:
        """Return the column that a field is likeliest to be meant by; None where none comes near.

        One of nearly the same name; else, for the only field that is read, the column with the longest texts.
        """
        read = {need.path.partition(".")[0] for need in self.needs}
        free = [name for name in self.columns if name not in read and name != "id"]
        alike = nearest(path, free)
        if alike is not None or len([need for need in self.needs if need.always]) > 1:
            return alike
        longest = max(free, key=lambda name: self.lengths[name] / self.columns[name], default=None)
        return longest if longest is not None and self.lengths[longest] else None


def is_absent(value: object) -> bool:
    """Whether a step would find nothing there; as `step_inputs` judges a required input."""
    return value is MISSING or value is None or (isinstance(value, str) and not value.strip())


def nearest(name: str, known: Sequence[str]) -> str | None:
    """Return the known name that a person most likely meant by `name`; None where none comes near."""
    wanted = _bare(name)
    same = [one for one in known if _bare(one) == wanted]
    if same:
        return same[0]
    parts = [one for one in known if wanted in map(_bare, re.split(r"[\W_]+", one))]
    if len(parts) == 1:
        return parts[0]
    found = process.extractOne(wanted, {one: _bare(one) for one in known}, scorer=fuzz.ratio, score_cutoff=_ALIKE)
    return found[2] if found else None


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _quoted(column: str) -> str:
    return f"'{column}'" if re.search(r"[^\w.-]", column) else column


def _yaml(pairs: Mapping[str, str]) -> str:
    return ", ".join(f"{path}: {_quoted(column)}" for path, column in pairs.items())
