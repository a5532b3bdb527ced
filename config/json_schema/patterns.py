"""Patterns as ECMA-262 means them, written for the engines that run them: one is linear in the text, one is bounded."""

import re
from collections.abc import Iterator
from functools import lru_cache

from jsonschema_rs import RegexOptions, ValidationError, validator_for

_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_UNICODE = rf"{_HIGH}{_LOW}|\\u\{{[0-9a-fA-F]+\}}|\\u[0-9a-fA-F]{{4}}"
_ESCAPE = rf"{_UNICODE}|\\x[0-9a-fA-F]{{2}}|\\c[A-Za-z]|\\[pP]\{{[^}}]*\}}|\\."
_OUTSIDE = re.compile(rf"\\k<[^>]+>|{_ESCAPE}|\[\^?|\(\?<(?![=!])[^>]+>|\(\?|\{{\d+(?:,\d*)?\}}|.", re.DOTALL)
_INSIDE = re.compile(rf"{_ESCAPE}|.", re.DOTALL)
#: Microseconds that the linear engine takes for a class of a Unicode property, for a dot and for any other character.
_LARGE_CLASS, _DOT_WEIGHT, _ATOM = 600, 20, 5
_ENDLESS = 10**12
_MANY = re.compile(r"\\[dDwWsSpP]")
_DOT = r"[^\n\r\u2028\u2029]"
_WORD = "[A-Za-z0-9_]"
_EDGE = rf"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))"
_NO_EDGE = rf"(?:(?<={_WORD})(?={_WORD})|(?<!{_WORD})(?!{_WORD}))"


def translated(pattern: str, *, linear: bool) -> str:
    r"""Return the pattern for the linear engine or for the one that backtracks within a bound.

    Dots stop at ECMA's line ends, edges of words are ASCII, surrogate pairs are one character, braces that are no
    quantifier are text. `\Z`, which ECMA does not have, is the end, as its writers mean it.
    """
    names = _group_numbers(pattern)
    out, at = [], 0
    while match := _OUTSIDE.match(pattern, at):
        token, at = match[0], match.end()
        if token in ("[", "[^"):
            text, at = _class(pattern, at, negated=token == "[^")
        else:
            text = _outside(token, names, linear=linear)
        out.append(text)
    return "".join(out)


@lru_cache(maxsize=4096)
def is_linear(pattern: str) -> bool:
    """Say whether the linear engine runs the pattern: no look-around, no back-reference, no giant repetition."""
    try:
        validator_for({"pattern": translated(pattern, linear=True)}, pattern_options=RegexOptions())
    except (ValidationError, ValueError):
        return False
    return True


def weight(pattern: str) -> int:
    """Return about how many microseconds the engine takes to make a pattern ready, repetitions written out."""
    levels, last = [0], 0
    for token, text in _pieces(pattern):
        if token == "(" or token.startswith("(?"):
            levels.append(0)
            continue
        if token == ")":
            last = levels.pop() if len(levels) > 1 else 0
        elif token.startswith("{") and token.endswith("}"):
            last = min(last * (max(map(int, re.findall(r"\d{1,9}", token))) - 1), _ENDLESS)
        else:
            last = _LARGE_CLASS if "\\p{" in text.lower() else _DOT_WEIGHT if token == "." else _ATOM
        levels[-1] += last
    return sum(levels)


def _group_numbers(pattern: str) -> dict[str, int]:
    """Return the numbers of named groups."""
    groups = [token for token, _ in _pieces(pattern) if token == "(" or token.startswith("(?<")]
    return {token[3:-1]: number for number, token in enumerate(groups, 1) if token != "("}


def _pieces(pattern: str) -> Iterator[tuple[str, str]]:
    """Yield each token, and all that it stands for: of a class its characters."""
    at = 0
    while match := _OUTSIDE.match(pattern, at):
        start, at = at, match.end()
        if match[0] in ("[", "[^"):
            at = _class(pattern, at, negated=False)[1]
        yield match[0], pattern[start:at]


def _outside(token: str, names: dict[str, int], *, linear: bool) -> str:
    if token.startswith("\\k<"):
        return rf"\{names[token[3:-1]]}" if token[3:-1] in names else token
    if token.startswith("(?<"):
        return "("
    fixed: dict[str, str] = {
        ".": _DOT,
        r"\b": r"(?-u:\b)" if linear else _EDGE,
        r"\B": r"(?-u:\B)" if linear else _NO_EDGE,
        r"\Z": "$",
        "{": r"\{",
        "}": r"\}",
        "]": r"\]",
    }
    return fixed.get(token) or _escaped(token)


def _escaped(token: str) -> str:
    if re.fullmatch(_HIGH + _LOW, token):
        return f"\\u{{{ord(_joined(token)):x}}}"
    return r"\x00" if token == r"\0" else token


def _joined(pair: str) -> str:
    high, low = int(pair[2:6], 16), int(pair[8:12], 16)
    return (chr(high) + chr(low)).encode("utf-16", "surrogatepass").decode("utf-16")


def _class(pattern: str, at: int, *, negated: bool) -> tuple[str, int]:
    """Return a class, whose `[` ends before `at`, and where it ends; one that is left open is returned as it is."""
    atoms: list[str] = []
    while match := _INSIDE.match(pattern, at):
        at = match.end()
        if match[0] == "]":
            return _written(atoms, negated=negated), at
        atoms.append(match[0])
    return f"[{'^' * negated}{''.join(atoms)}", at


def _written(atoms: list[str], *, negated: bool) -> str:
    if not atoms:
        return r"[\s\S]" if negated else r"[^\s\S]"
    return f"[{'^' * negated}{''.join(_ranges(atoms))}]"


def _ranges(atoms: list[str]) -> Iterator[str]:
    """Write the atoms of a class; a `-` that joins no two characters is text."""
    place = 0
    while place < len(atoms):
        one = atoms[place]
        if atoms[place + 1 : place + 2] == ["-"] and place + 2 < len(atoms) and _is_range(one, atoms[place + 2]):
            yield f"{_in_class(one)}-{_in_class(atoms[place + 2])}"
            place += 3
        else:
            yield _in_class(one)
            place += 1


def _is_range(first: str, last: str) -> bool:
    return not _MANY.match(first) and not _MANY.match(last)


def _in_class(atom: str) -> str:
    if atom in tuple("[]&~-^"):
        return f"\\{atom}"
    return r"\x08" if atom == r"\b" else _escaped(atom)
