"""Recomputes every arithmetic step that a written solution states, exactly, in fractions."""

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

# ruff: noqa: RUF001 - the signs that models write for minus, times and apostrophe
_TOKEN = re.compile(
    r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"|(?P<unit>/?[^\W\d_][^\W\d_'’-]*)|(?P<sign>[-+*/()=%])|(?P<other>\S)"
)
#: Calculator annotations as GSM8K's own solutions have them: `<<3*4=12>>`.
_ANNOTATION = re.compile(r"<<([^<>]*)>>")
_REMARK = re.compile(r"\([^()\d]*\)")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
_MIXED = re.compile(r"\b(\d+)\s+(\d+)/(\d+)\b")
#: `7 / 1/2`: what is written without spaces belongs together.
_TIGHT = re.compile(r"(?<=[*/]\s)(\d+)/(\d+)\b(?!\s*%)")
_SPELLINGS = (
    (re.compile(r"\\?\$|[€£]"), ""),
    (re.compile(r"\\([*_])"), r"\1"),
    (re.compile(r"\\times|\\cdot|[×⋅·]|(?<=[\d)%])\s*[xX]\s*(?=[\d(.])|(?<=\s)[xX](?=\s+[\d(.])"), "*"),
    (re.compile(r"÷|\\div"), "/"),
    (re.compile(r"[−–](?=\s*[\d(])"), "-"),
    (re.compile(r"(?<=[\d%])\s+of\s+(?=\d)"), " * "),
)
#: More words than this after a number are a sentence, not its unit.
_MOST_UNIT_WORDS = 3
#: Words that say more than a unit does: what stands around them is not to be computed as written.
_TELLING = frozenset({"and", "or", "then", "than", "from", "of", "is", "are", "for", "so", "to", "plus", "minus"})
#: Ratios by which both sides may differ when their units do: cents, percent, minutes, days, dozens.
_CONVERSIONS = tuple(Fraction(ratio) for ratio in (7, 12, 24, 60, 100, 1000, 3600))
_OPERATORS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


@dataclass(frozen=True)
class Side:
    """One side of an equals sign."""

    text: str
    value: Fraction
    #: Whether there is anything to compute.
    computed: bool
    units: frozenset[str]
    #: Digits after the point, where the side is one number.
    decimals: int
    #: The number it begins with: in `2 + 2 = 4 * 6 = 24` the 4 ends one step and begins the next.
    first: Fraction | None


def steps_are_right(answer: str, item: object = None) -> bool | str:
    """Return True when every step that can be recomputed is right, else the reason: the first step that is not.

    What cannot be read as arithmetic is passed over, so that an answer is refused for a wrong step only.
    """
    wrong = next(wrong_steps(answer), None)
    return True if wrong is None else f"a step is wrong: {wrong}"


def wrong_steps(text: str) -> Iterator[str]:
    """Yield each stated step that does not hold, with what it comes to."""
    for equation in equations(text):
        for left, right in pairwise(equation):
            if left and right and (left.computed or right.computed) and not agree(left, right):
                yield f"{left.text} = {right.text}, but {left.text} is {_shown(left.value)}"


def agree(left: Side, right: Side) -> bool:
    """Return whether two sides are equal: exactly, by rounding to the digits shown, or by a change of units."""
    if right.computed and left.value == right.first:
        return True
    if _near(left.value, right.value, right.decimals) or _near(right.value, left.value, left.decimals):
        return True
    if left.units == right.units or 0 in (left.value, right.value):
        return False
    ratio = left.value / right.value
    return any(ratio in (factor, 1 / factor) for factor in _CONVERSIONS)


def _near(exact: Fraction, stated: Fraction, decimals: int) -> bool:
    """Return whether the stated figure is the exact one, rounded or cut off to its decimals; whole ones are exact."""
    return exact == stated or (decimals > 0 and abs(exact - stated) < Fraction(1, 10**decimals))


def equations(text: str) -> Iterator[list[Side | None]]:
    """Yield the sides of each chain `a = b = c` in a text; None where a side cannot be computed."""
    for note in _ANNOTATION.findall(text):
        yield from _equations_of(note)
    for line in _ANNOTATION.sub("", text).splitlines():
        yield from _equations_of(_BULLET.sub("", line))


def _equations_of(line: str) -> Iterator[list[Side | None]]:
    for run in _runs(_plain(line)):
        if "=" in run:
            yield [_side(side) for side in _split(run)]


def _plain(line: str) -> str:
    for pattern, replacement in _SPELLINGS:
        line = pattern.sub(replacement, line)
    return _TIGHT.sub(r"(\1/\2)", _MIXED.sub(r"(\1+\2/\3)", _REMARK.sub("", line)))


def _runs(line: str) -> Iterator[list[str]]:
    """Yield the stretches of a line that may be arithmetic; a `?` in one stands for what cannot be computed."""
    run: list[str] = []
    units = 0
    for match in _TOKEN.finditer(line):
        token, kind = match[0], match.lastgroup
        units = units + 1 if kind == "unit" else 0
        if kind == "number" and run and _is_operand(run[-1]):
            yield run
            run = [token]
        elif kind == "other" or (kind == "unit" and (units > _MOST_UNIT_WORDS or _tells(token))):
            yield run
            run = []
        elif kind == "unit" and not run:
            continue
        elif not run and token in "+*/=%)":
            run = ["?", token]
        elif run and run[-1] in "+-*/=(" and kind == "unit":
            yield [*run, "?"]
            run = ["?"]
        else:
            run.append(token)
    yield run


def _is_operand(token: str) -> bool:
    return token[-1].isalnum() or token in ")%"


def _is_unit(token: str) -> bool:
    return token.lstrip("/")[:1].isalpha()


def _tells(token: str) -> bool:
    """Return whether a word is no unit: it tells what to do with the number, or it is a variable."""
    return token.casefold() in _TELLING or len(token) == 1


def _split(run: Sequence[str]) -> Iterator[list[str]]:
    side: list[str] = []
    for token in run:
        if token == "=":
            yield side
            side = []
        else:
            side.append(token)
    yield side


def _side(tokens: list[str]) -> Side | None:
    bare = [token for token in tokens if not _is_unit(token)]
    units = frozenset(token.casefold() for token in tokens if token == "%" or _is_unit(token))
    try:
        value = _Reader(bare).value()
    except (ValueError, IndexError, ZeroDivisionError, RecursionError):
        return None
    decimals = len(bare[0].partition(".")[2]) if len(bare) == 1 else 0
    first = _number(bare[0]) if bare[0][-1].isdigit() else None
    return Side(" ".join(bare), value, any(token in "+-*/" for token in bare[1:]), units, decimals, first)


def _number(token: str) -> Fraction:
    return Fraction(token.replace(",", ""))


class _Reader:
    """Evaluates tokens by the usual precedence; ValueError or IndexError where they are no complete expression."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def value(self) -> Fraction:
        value = self._sum()
        if self._at != len(self._tokens):
            raise ValueError("more than an expression")
        return value

    def _sum(self) -> Fraction:
        return self._folded(self._product, "+-")

    def _product(self) -> Fraction:
        return self._folded(self._factor, "*/")

    def _folded(self, operand: Callable[[], Fraction], signs: str) -> Fraction:
        value = operand()
        while self._at < len(self._tokens) and self._tokens[self._at] in signs:
            sign = self._next()
            value = _OPERATORS[sign](value, operand())
        return value

    def _factor(self) -> Fraction:
        token = self._next()
        if token == "-":
            return -self._factor()
        if token == "(":
            value = self._sum()
            if self._next() != ")":
                raise ValueError("an open bracket")
        else:
            value = _number(token)
        while self._at < len(self._tokens) and self._tokens[self._at] == "%":
            self._at += 1
            value /= 100
        return value

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]


def _shown(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.6g}"
