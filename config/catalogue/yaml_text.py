"""Values as YAML text: written anew, or into a text that is there, whose comments, order and layout stay.

Reading stays with PyYAML's C parser (`yaml_file`): ruamel.yaml takes twelve times as long for the built-in files, at
the start of every command.
"""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from firstline.config.catalogue.yaml_file import parse_yaml
from firstline.schemas.base import Frozen
from firstline.schemas.errors import UserError

_WIDTH = 100
#: Texts that YAML 1.1, which other tools still read, takes for something else.
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_LISTS_INDENTED = re.compile(r"^( *)[^\s#-][^\n]*:[ ]*\n(?:[ ]*#[^\n]*\n)*\1( +)- ", re.MULTILINE)


def as_yaml(value: Frozen, *, first: Sequence[str] = ()) -> str:
    """Return a value as YAML: fields that have their default are left out, but those in `first`, which come first."""
    named = {name: getattr(value, name) for name in first}
    return mapping_as_yaml({**named, **value.model_dump(mode="json", exclude_defaults=True)})


def mapping_as_yaml(data: Mapping[str, Any]) -> str:
    """Return a mapping as YAML; AssertionError where our reader would not read the same back."""
    text = _written(_styled(data), _writer())
    assert parse_yaml(text.encode(), Path("text.yaml")).data == data
    return text


def rewritten(text: str, before: Frozen, after: Frozen) -> str:
    """Return a text that holds `before` so that it holds `after`: only what differs is written, all else stays.

    Where the text's own form stands in the way (an anchor, a shorthand), the whole is written anew.
    """
    yaml = _writer(text)
    try:
        tree = yaml.load(text)
        compact = after.model_dump(mode="json", exclude_defaults=True)
        _change(tree, before.model_dump(mode="json"), after.model_dump(mode="json"), compact)
        made = _merged(text, _written(yaml.load(text), yaml), _written(tree, yaml))
        named = {"name": after.name} if hasattr(after, "name") else {}
        if parse_yaml(made.encode(), Path("text.yaml")).parse(type(after), **named) == after:
            return made
    except (YAMLError, UserError, LookupError, TypeError, AttributeError):
        pass
    return as_yaml(after)


def _merged(text: str, plain: str, changed: str) -> str:
    """Return the text with what leads from `plain` to `changed`: what only the writer's habits change stays.

    Where a change falls on lines that the writer breaks differently, all is as the writer has it.
    """
    lines = plain.splitlines(keepends=True)
    edits = sorted([*_edits(lines, text), *_edits(lines, changed)], key=lambda edit: edit[:2])
    made: list[str] = []
    at = 0
    for lo, hi, new in edits:
        if lo < at or (lo == hi == at and made and lo):
            return changed
        made += [*lines[at:lo], *new]
        at = hi
    return "".join([*made, *lines[at:]])


def _edits(lines: Sequence[str], text: str) -> list[tuple[int, int, list[str]]]:
    """Return what leads from lines to a text: from, to, and what stands there then."""
    new = text.splitlines(keepends=True)
    codes = SequenceMatcher(None, lines, new, autojunk=False).get_opcodes()
    return [(lo, hi, new[first:last]) for kind, lo, hi, first, last in codes if kind != "equal"]


# Changing ---------------------------------------------------------------------------------------------------------


def _change(
    node: CommentedMap, before: Mapping[str, Any], after: Mapping[str, Any], compact: Mapping[str, Any]
) -> None:
    """Bring a mapping's node from `before` to `after`; what `compact` leaves out is a default, and need not stand."""
    for name in before.keys() - after.keys():
        node.pop(name, None)
    for place, (name, value) in enumerate(after.items()):
        if name in before and before[name] == value:
            continue
        if name not in compact:
            node.pop(name, None)
            continue
        known = node.get(name)
        match known, value, before.get(name):
            case CommentedMap(), dict(), dict() as old:
                _change(known, old, value, compact[name])
            case CommentedSeq(), list(), list() as old if len(known) == len(old):
                _change_list(known, old, value, compact[name])
            case _ if name in node:
                node[name] = _styled(compact[name])
            case _:
                node.insert(_place(node, list(after)[:place]), name, _styled(compact[name]))


def _place(node: CommentedMap, earlier: Iterable[str]) -> int:
    """Return where a new field goes: behind the last of those that come before it."""
    names = list(node)
    return max((names.index(name) + 1 for name in earlier if name in node), default=0)


def _change_list(node: CommentedSeq, before: Sequence[Any], after: Sequence[Any], compact: Sequence[Any]) -> None:
    """Bring a list's node from `before` to `after`; an element that stays, or only changed, keeps its own node."""
    known = dict(zip(map(_name, before), zip(node, before, strict=True), strict=True))
    made = []
    for value, short in zip(after, compact, strict=True):
        kept, old = known.get(_name(value), (None, None))
        if isinstance(kept, CommentedMap) and isinstance(old, dict) and isinstance(value, dict):
            _change(kept, old, value, short)
            made.append(kept)
        else:
            made.append(kept if kept is not None and old == value else _styled(short))
    while len(node) > len(made):
        del node[next((n for n, one in enumerate(node) if not any(one is other for other in made)), len(made))]
    for n, one in enumerate(made):
        if n == len(node):
            node.append(one)
        elif node[n] is not one:
            node[n] = one


def _name(value: Any) -> str:
    """Return what an element of a list is known by."""
    return f"name {value['name']}" if isinstance(value, dict) and "name" in value else repr(value)


# Writing ----------------------------------------------------------------------------------------------------------


class _Representer(RoundTripRepresenter):
    """Writes null as a word."""


_Representer.add_representer(
    type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
)


def _writer(text: str = "") -> YAML:
    """Return what writes as `text` is written."""
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.preserve_quotes = True
    yaml.allow_unicode = True
    yaml.width = max(_WIDTH, *map(len, text.splitlines()), 0)
    yaml.explicit_start = text.startswith("---")
    if found := _LISTS_INDENTED.search(text):
        yaml.indent(mapping=2, sequence=len(found[2]) + 2, offset=len(found[2]))
    return yaml


def _written(tree: Any, yaml: YAML) -> str:
    stream = io.StringIO()
    yaml.dump(tree, stream)
    return stream.getvalue()


def _styled(value: Any) -> Any:
    """Return a value with texts as people write them: several lines as a block, what might be misread in quotes."""
    match value:
        case Mapping():
            return CommentedMap((name, _styled(part)) for name, part in value.items())
        case list() | tuple():
            return CommentedSeq(map(_styled, value))
        case str() if "\n" in value and not any(line.endswith((" ", "\t")) for line in value.split("\n")):
            return LiteralScalarString(value)
        case str():
            plain = value.replace("_", "").replace("-", "").isalpha() and value.lower() not in _WORDS
            return value if plain or " " in value else DoubleQuotedScalarString(value)
        case _:
            return value
