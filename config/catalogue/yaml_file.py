"""YAML files read with the line of every value kept, and refused with all that is wrong in them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel

from firstline.config.errors.error_messages import ConfigError, Flaw, Location, Problem
from firstline.config.errors.model_errors import model_flaws

M = TypeVar("M", bound=BaseModel)

SUFFIXES = (".yaml", ".yml")
MAX_BYTES = 1_000_000
MAX_DEPTH = 60
#: Values after every alias (`*name`) has been replaced by what it stands for.
MAX_VALUES = 50_000

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """Reads the core schema of YAML 1.2.

    Under YAML 1.1, PyYAML's own, `no` is false, `12:30` is 750, `010` is 8 and `2026-01-31` is no text.
    """

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 -- PyYAML's way to declare them


def _teach_core_schema() -> None:
    digits = list("-+0123456789.")
    _Loader.add_implicit_resolver(
        "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
    )
    _Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
    _Loader.add_implicit_resolver(
        "tag:yaml.org,2002:int", re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), digits
    )
    _Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"), digits
    )
    _Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"])
    _Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: _whole(loader.construct_scalar(node)))


def _whole(text: str) -> int:
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


_teach_core_schema()


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML mapping, and the line of every value in it."""

    file: Path
    data: dict[str, Any]
    lines: Mapping[Location, int] = field(default_factory=dict)

    def line(self, at: Location) -> int:
        """Return the line of a location, or of what is nearest around it."""
        while at and at not in self.lines:
            at = at[:-1]
        return self.lines.get(at, 1)

    def problem(self, flaw: Flaw) -> Problem:
        """Return the flaw with its file and line."""
        text = f"{flaw.where}: {flaw.text}" if flaw.where else flaw.text
        return Problem(self.file, self.line(flaw.at), text)

    def problems(self, flaws: Iterable[Flaw]) -> tuple[Problem, ...]:
        """Return the flaws with their lines, from the top of the file down."""
        return tuple(sorted(map(self.problem, flaws), key=lambda problem: problem.line or 0))

    def parse(self, model: type[M], **defaults: object) -> M:
        """Return the model; `defaults` fill fields that the document leaves out. ConfigError holds every flaw."""
        data = {**defaults, **self.data}
        value, flaws = model_flaws(model, data)
        if value is None:
            raise ConfigError(self.problems(flaws))
        return value


def is_path(name: str | Path) -> bool:
    """Return whether this names a file rather than something in the catalogue."""
    return isinstance(name, Path) or "/" in name or "\\" in name or Path(name).suffix in SUFFIXES


def read_yaml(file: Path) -> Document:
    """Return a file's mapping; ConfigError when it cannot be read, is no YAML, is too large or holds no mapping."""
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError([Problem(file, None, "expected a file, but there is none")]) from None
    except IsADirectoryError:
        raise ConfigError([Problem(file, None, "expected a file, got a folder")]) from None
    except OSError as error:
        raise ConfigError([Problem(file, None, f"cannot be read: {error.strerror}")]) from None
    return parse_yaml(raw, file)


@lru_cache(maxsize=128)
def parse_yaml(raw: bytes, file: Path) -> Document:
    """Return the mapping that `raw` holds; `file` is named in errors."""
    if len(raw) > MAX_BYTES:
        raise ConfigError(
            [Problem(file, None, f"expected at most {MAX_BYTES:,} bytes of YAML; data belongs in `input:`")]
        )
    text = _text(raw, file)
    node = _compose(text, file)
    if node is None:
        raise ConfigError([Problem(file, 1, "expected a mapping of fields, got an empty file")])
    if not isinstance(node, yaml.MappingNode):
        got = "a list" if isinstance(node, yaml.SequenceNode) else "a single value"
        raise ConfigError([Problem(file, node.start_mark.line + 1, f"expected a mapping of fields, got {got}")])
    _bound(node, file)
    flaws = list(_key_flaws(node))
    if flaws:
        raise ConfigError(Problem(file, line, text) for line, text in flaws)
    return Document(file, _construct(text, node, file), dict(_lines(node, ())))


def _text(raw: bytes, file: Path) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        byte = raw[error.start]
        raise ConfigError(
            [Problem(file, line, f"expected UTF-8 text, got the byte 0x{byte:02X}; save the file as UTF-8")]
        ) from None


def _compose(text: str, file: Path) -> yaml.Node | None:
    try:
        _measure(text, file)
        return yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigError([_syntax(error, text, file)]) from None


def _measure(text: str, file: Path) -> None:
    """Refuse deep nesting before anything recursive sees it."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else None
            raise ConfigError([Problem(file, line, f"expected at most {MAX_DEPTH} levels of nesting")])


def _syntax(error: yaml.YAMLError, text: str, file: Path) -> Problem:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        reason = getattr(error, "reason", None) or str(error)
        return Problem(file, None, f"not YAML: {reason.splitlines()[0]}")
    line = min(mark.line, max(text.count("\n") - text.endswith("\n"), 0))
    if "\t" in _indent(text, line):
        return Problem(
            file, line + 1, "expected spaces at the start of the line, got a tab; YAML is indented with spaces"
        )
    what = str(getattr(error, "problem", None) or error).removeprefix("but ")
    return Problem(file, line + 1, f"not YAML: {what}{_cure(what)}")


def _indent(text: str, line: int) -> str:
    lines = text.splitlines() or [""]
    content = lines[min(line, len(lines) - 1)]
    return content[: len(content) - len(content.lstrip())]


def _cure(problem: str) -> str:
    cures = {
        "mapping values are not allowed": "; put text that holds `: ` in quotes",
        "unexpected end of stream": "; a quotation mark or bracket is not closed",
        "another document": "; a file holds one document, without `---` between parts",
        "did not find expected key": "; look at the indentation of this line and the one above",
        "cannot start any token": "; put text that begins with this character in quotes",
        "constructor for the tag": "; tags (`!name`) have no meaning here",
        "undefined alias": "; put text that begins with * in quotes",
    }
    return next((cure for sign, cure in cures.items() if sign in problem), "")


def _bound(node: yaml.Node, file: Path) -> None:
    """Refuse aliases that hold themselves or that unfold beyond all measure (a billion laughs)."""
    sizes: dict[int, int] = {}

    def size(part: yaml.Node, around: frozenset[int]) -> int:
        if id(part) in around:
            raise ConfigError([Problem(file, part.start_mark.line + 1, "an alias (*name) stands inside what it names")])
        if id(part) not in sizes:
            inner = around | {id(part)}
            sizes[id(part)] = 1 + sum(size(child, inner) for child in _children(part))
        return sizes[id(part)]

    total = size(node, frozenset())
    if total > MAX_VALUES:
        raise ConfigError(
            [Problem(file, None, f"expected at most {MAX_VALUES:,} values, got {total:,} with all aliases")]
        )


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _key_flaws(node: yaml.Node) -> Iterator[tuple[int, str]]:
    """Find keys that are no text, and keys that stand twice: YAML would silently keep the last."""
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.tag != "tag:yaml.org,2002:str":
                yield line, f"expected a text as key, got {_as_written(key)}; put it in quotes"
            elif key.value in first:
                yield line, f"'{key.value}' stands twice, first on line {first[key.value]}; keep one"
            else:
                first[key.value] = line
    for child in _children(node):
        yield from _key_flaws(child)


def _as_written(key: yaml.Node) -> str:
    return f"`{key.value}`" if isinstance(key, yaml.ScalarNode) else "a list or mapping"


def _construct(text: str, node: yaml.Node, file: Path) -> dict[str, Any]:
    loader = _Loader("")
    try:
        return loader.construct_document(node)  # type: ignore[no-any-return]
    except yaml.YAMLError as error:
        raise ConfigError([_syntax(error, text, file)]) from None
    finally:
        loader.dispose()


def _lines(node: yaml.Node, at: Location) -> Iterator[tuple[Location, int]]:
    yield at, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, key.value)
            yield from _lines(value, here)
            # The key's line, not the value's, which may begin lines below.
            yield here, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            yield from _lines(value, (*at, position))
