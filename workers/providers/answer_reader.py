"""Reads the one answer that a model's text holds: nothing lost, nothing guessed, and no second one beside it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from firstline.schemas.base import Json, JsonObject
from firstline.workers.providers.gateway import AnswerSpan
from firstline.workers.providers.thoughts import Mark, begin, next_mark, without_thoughts
from firstline.workers.rules.json_text import Reading, Unreadable, read_json, read_mended, read_value, same

#: Keys around an answer that say nothing but that it is one.
_WRAPPERS = frozenset({"answer", "result", "output", "response", "final_answer"})
#: How often something is taken out of a wrapping.
_UNWRAPPED = 3

_OBJECT = re.compile(r"""\{\s*(?:["'“}{]|[^\W\d]\w*\s*:)""")
_LIST = re.compile(r"""\[\s*(?:["'“\]\[{]|-?[0-9]|(?:true|false|null|True|False|None)\b)""")
_LIST_OF_OBJECTS = re.compile(r"\[\s*[{\[]")
_CLOSING = re.compile(r"\s*[\]}]")
_BRACKET = re.compile(r"[{\[]")
_LAST_FENCE = re.compile(r"\s*```\s*$")
_FENCE = re.compile(r"```[\w-]*[ \t]*\n?")


@dataclass(frozen=True, slots=True)
class Form:
    """The form of the answer that was asked for."""

    #: JSON Schema of the answer itself.
    schema: JsonObject
    #: Says whether a value satisfies it.
    fits: Callable[[Json], bool]
    #: The only property of the object that the answer was asked in; None: it is an object itself.
    wrap: str | None = None
    #: Where local references of the schema lead; None: to itself.
    root: JsonObject | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The texts that the answer may be, where these are listed."""
        listed = self.schema.get("enum")
        return tuple(label for label in listed if isinstance(label, str)) if isinstance(listed, list) else ()

    @property
    def properties(self) -> frozenset[str]:
        """Names of the properties that an answer may have, unions and local references looked through."""
        return frozenset(_property_names(self.schema, self.root or self.schema, 0))

    def seems_right(self, value: Json) -> bool:
        """Say at a glance whether a value is what was asked for, so that nothing has to be taken out of anything."""
        if not isinstance(value, dict):
            return False
        if self.wrap is not None:
            return value.keys() == {self.wrap}
        required = self.schema.get("required")
        return isinstance(required, list) and bool(required) and value.keys() >= {*map(str, required)}


@dataclass(frozen=True, slots=True)
class Answer:
    """A value, and where it stands in its text as JSON."""

    value: Json
    start: int
    end: int
    #: The way from the JSON there to the value; None: it stands there in another form (JSON within a text).
    inside: tuple[str, ...] | None = ()
    #: What had to be mended, in words for people.
    mends: tuple[str, ...] = ()
    #: Whether it satisfies the schema; None where nobody looked.
    on_schema: bool | None = None

    @property
    def span(self) -> AnswerSpan | None:
        """Its place in the text, for who looks at the tokens there."""
        return None if self.inside is None else AnswerSpan(self.start, self.end, self.inside)


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """A text without an answer, or without one that is sure."""

    why: str


def read_answer(text: str, form: Form, *, validate: bool = False) -> Answer | NoAnswer:
    """Return the answer that a text holds.

    Conservation: every letter, digit and sign of the span that is taken is in the value; only what loses nothing is
    mended (fences, words around, quotation marks, trailing commas, raw line breaks, Python's literals, one last brace).
    One candidate: of two different values that could be the answer neither is taken. `validate`: look whether it
    satisfies the schema also where that is not needed to find it.
    """
    bare = text.strip()
    try:
        whole = Answer(read_json(bare), start := text.index(bare), start + len(bare))
    except ValueError:
        return _search(text, form)
    if form.seems_right(whole.value) and not validate:
        return _taken(whole, form)
    return _fitting(whole, form)


def read_plain(text: str) -> tuple[str, AnswerSpan | None]:
    """Return an answer of plain text without the model's thoughts, and where it stands; empty if it is no more.

    One that nothing was cut from is kept as it came, white space at its ends included; where it stands is told
    without that.
    """
    pieces = without_thoughts(text)
    if len(pieces) == 1:
        bare = text[slice(*pieces[0])]
        return text if text.strip() == bare else bare, AnswerSpan(*pieces[0])
    return "\n\n".join(text[start:end] for start, end in pieces), None


@dataclass(slots=True)
class _Search:
    """What a text holds outside of its thoughts."""

    found: list[Reading] = field(default_factory=list)
    broken: Unreadable | None = None
    #: Pieces of text that are neither thoughts nor JSON.
    words: list[str] = field(default_factory=list)


def _search(text: str, form: Form) -> Answer | NoAnswer:
    looked = _look(_LAST_FENCE.sub(lambda last: " " * len(last[0]), text), form)
    if looked.broken is not None:
        return NoAnswer(f"the JSON is broken: {looked.broken}")
    if not looked.found:
        return _bare("".join(looked.words), text, form)
    answers = [_fitting(_answer(reading, _around(looked.words)), form) for reading in looked.found]
    return _only(answers, form)


def _look(text: str, form: Form) -> _Search:
    """Walk over a text: thoughts are passed over, JSON is read; what stands before a lone closing mark is thought."""
    looked, at = _Search(), begin(text)
    mark = next_mark(text, at)
    while True:
        bracket = None if looked.broken else _BRACKET.search(text, at)
        if mark is not None and mark.start < at:
            mark = next_mark(text, at)
            continue
        if mark is not None and (bracket is None or mark.start <= bracket.start()):
            looked.words.append(text[at : mark.start])
            if mark.mark is Mark.ANSWER:
                looked = _Search()
            at, mark = mark.end, next_mark(text, mark.end)
        elif bracket is not None:
            looked.words.append(text[at : bracket.start()])
            at = _read_at(text, bracket.start(), form, looked)
        else:
            looked.words.append(text[at:])
            return looked


def _read_at(text: str, at: int, form: Form, looked: _Search) -> int:
    """Read what begins at a bracket; return where to go on."""
    try:
        reading = read_value(text, at)
    except Unreadable as error:
        if looked.broken is None and _is_json(text, at, form):
            looked.broken = error
    else:
        if _CLOSING.match(text, reading.end):
            looked.broken = looked.broken or Unreadable("a bracket is closed that nothing opened", reading.end)
        if not reading.unclosed or _may_be_closed(reading, form):
            looked.found.append(reading)
            return reading.end
        looked.broken = looked.broken or Unreadable("an object is not closed", reading.end)
    looked.words.append(text[at])
    return at + 1


def _is_json(text: str, at: int, form: Form) -> bool:
    """Say whether what begins at a bracket means to be JSON, so that nothing within it may be taken for the whole."""
    if text[at] == "{":
        return _OBJECT.match(text, at) is not None
    return (_LIST_OF_OBJECTS if form.wrap is None else _LIST).match(text, at) is not None


def _may_be_closed(reading: Reading, form: Form) -> bool:
    """Say whether nothing but the brace can be missing: all that an answer may have is there."""
    names = {form.wrap} if form.wrap is not None else form.properties
    return isinstance(reading.value, dict) and bool(names) and reading.value.keys() >= names


def _around(words: list[str]) -> tuple[str, ...]:
    said = "".join(words)
    is_worded = bool(_FENCE.sub("", said).strip())
    return ("words around the answer",) if is_worded else ("a code fence",) if said.strip() else ()


def _answer(reading: Reading, around: tuple[str, ...]) -> Answer:
    closed = ("a last brace that was missing",) if reading.unclosed else ()
    return Answer(reading.value, reading.start, reading.end, mends=(*around, *reading.mends, *closed))


def _only(answers: list[Answer], form: Form) -> Answer | NoAnswer:
    """Return the one answer among the values of a text."""
    fitting = [answer for answer in answers if answer.on_schema]
    rivals = [answer for answer in answers if answer.on_schema or _is_attempt(answer.value, form)]
    if any(not same(rivals[0].value, other.value) for other in rivals[1:]):
        return NoAnswer(f"expected one JSON value, got {len(rivals)} different ones that could be the answer")
    if fitting:
        return fitting[0]
    if len(answers) == 1:
        return answers[0]
    return NoAnswer(f"expected one JSON value, got {len(answers)}, none of the form asked for")


def _is_attempt(value: Json, form: Form) -> bool:
    """Say whether a value that is not of the form means to be: an object with a property of it, a list of such."""
    match value:
        case dict():
            names = form.properties | ({form.wrap} if form.wrap is not None else frozenset())
            return not names.isdisjoint(value)
        case list():
            return any(_is_attempt(part, form) for part in value)
        case _:
            return False


def _bare(words: str, text: str, form: Form) -> Answer | NoAnswer:
    """Return an answer that is no object and was not wrapped: a label as it is, or one JSON value alone."""
    bare = _FENCE.sub("", words).strip()
    at = text.rfind(bare)
    if bare and at >= 0 and form.wrap is not None:
        if bare in form.labels:
            return Answer(bare, at, at + len(bare), mends=("no quotation marks",), on_schema=True)
        try:
            reading = read_mended(bare)
        except Unreadable:
            return NoAnswer(f"expected JSON, got: {bare!r:.120}")
        return _fitting(Answer(reading.value, at, at + len(bare), mends=(*_around([words]), *reading.mends)), form)
    nothing = "nothing but thoughts" if text.strip() else "nothing"
    return NoAnswer(f"expected JSON, got {repr(bare)[:120] if bare else nothing}")


def _fitting(answer: Answer, form: Form) -> Answer:
    """Return an answer out of what it is plainly wrapped in, where it satisfies the schema there; else as it is."""
    taken = _taken(answer, form)
    # An object with more than the wrapping in it may be the answer itself, with a property of that name.
    ways = [taken] if taken is answer else [answer, taken] if len(taken.mends) > len(answer.mends) else [taken, answer]
    for candidate in (candidate for way in ways for candidate in _unwrapped(way, form, _UNWRAPPED)):
        if form.fits(candidate.value):
            return replace(candidate, on_schema=True)
    return replace(taken, on_schema=False)


def _taken(answer: Answer, form: Form) -> Answer:
    """Take an answer out of the object that it was asked in; a model that answered the bare value is understood."""
    if form.wrap is None or not isinstance(answer.value, dict) or form.wrap not in answer.value:
        return answer
    mends = answer.mends if len(answer.value) == 1 else (*answer.mends, "words beside the answer")
    return replace(answer, value=answer.value[form.wrap], inside=(form.wrap,), mends=mends)


def _unwrapped(answer: Answer, form: Form, times: int) -> Iterator[Answer]:
    yield answer
    if times and (inner := _inner(answer)) is not None:
        yield from _unwrapped(_taken(inner, form) if inner.inside is None else inner, form, times - 1)


def _inner(answer: Answer) -> Answer | None:
    """Return what is plainly the answer within a value, or None."""
    match answer.value:
        case str() as text if text.lstrip()[:1] in ("{", "["):
            try:
                value = read_json(text)
            except ValueError:
                return None
            return replace(answer, value=value, inside=None, mends=(*answer.mends, "JSON within a text"))
        case [value]:
            return _inside(answer, "0", value, "a list of one")
        case {"name": str(), "arguments": value, **rest} | {"name": str(), "parameters": value, **rest} if not rest:
            return _inside(answer, _other_than_name(answer.value), value, "a tool call")
        case dict() as found if len(found) == 1 and (name := next(iter(found))).lower() in _WRAPPERS:
            return _inside(answer, name, found[name], f"the key '{name}' around it")
        case _:
            return None


def _other_than_name(call: Json) -> str:
    return next(key for key in call if key != "name") if isinstance(call, dict) else ""


def _inside(answer: Answer, step: str, value: Json, mend: str) -> Answer:
    inside = None if answer.inside is None else (*answer.inside, step)
    return replace(answer, value=value, inside=inside, mends=(*answer.mends, mend))


def _property_names(schema: Json, root: JsonObject, depth: int) -> Iterator[str]:
    if not isinstance(schema, dict) or depth > 4:
        return
    properties = schema.get("properties")
    yield from properties if isinstance(properties, dict) else ()
    if isinstance(reference := schema.get("$ref"), str) and reference.startswith("#"):
        yield from _property_names(_resolved(reference, root), root, depth + 1)
    for name in ("anyOf", "oneOf", "allOf"):
        parts = schema.get(name)
        for part in parts if isinstance(parts, list) else ():
            yield from _property_names(part, root, depth + 1)
    if isinstance(items := schema.get("items"), dict):
        yield from _property_names(items, root, depth + 1)


def _resolved(reference: str, root: JsonObject) -> Json:
    found: Json = root
    for part in filter(None, reference.removeprefix("#").split("/")):
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found
