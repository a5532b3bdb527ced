"""What every tool has: a name, a description, a JSON Schema of its arguments, and a call that never raises."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json

from firstline.config.json_schema.bounds import size_of
from firstline.config.json_schema.validator import validator_of
from firstline.config.providers.secrets import revealed
from firstline.schemas.base import Frozen, Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.tool import ToolResult, ToolSpec
from firstline.workers.rules.json_text import MAX_DEPTH, printable, printable_json, read_json, read_mended


class Tool(Protocol):
    """What a step, or a model in a round of tool calls, may use."""

    @property
    def name(self) -> str:
        """The name it is called by."""

    @property
    def description(self) -> str:
        """What it does, for a model that chooses."""

    @property
    def parameters(self) -> JsonObject:
        """JSON Schema of the arguments."""

    def run(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Answer; every failure is `ToolResult.error`."""


class Place(Frozen):
    """Where the tools of a job live: what relative paths and dotted names are resolved against."""

    base: Path = Path()
    #: The user's folders with modules of functions, first one first.
    functions: tuple[Path, ...] = ()
    #: Where indexes are kept.
    cache: Path = Path("~/.cache/firstline")

    def path(self, name: str) -> Path:
        """Return the absolute path of a name that may be relative to the base, or begin with `~`."""
        return (self.base / Path(name).expanduser()).resolve()


class OpenArguments(BaseModel):
    """Arguments whose shape only the tool's own JSON Schema knows."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @property
    def given(self) -> JsonObject:
        """The arguments as they came."""
        return dict(self.model_extra or {})


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of tool: its argument and option models, and `(arguments, options, place) -> ToolResult`."""

    name: str
    description: str
    arguments: type[BaseModel]
    options: type[Frozen]
    call: Callable[[Any, Any, Place], ToolResult]
    #: It keeps its own limits, so that it may run in the caller's process.
    bounds_itself: bool = False
    #: Characters that its answer may have in any case; a declaration may allow more.
    result_chars: int = 0
    #: The same where the options say so.
    runs_here: Callable[[Any], bool] | None = None
    #: JSON Schema of the arguments where it depends on the options.
    schema: Callable[[Any], JsonObject] | None = None

    def parameters(self, options: Frozen) -> JsonObject:
        """Return the JSON Schema of the arguments."""
        return self.schema(options) if self.schema else schema_of(self.arguments)


@dataclass(frozen=True, slots=True)
class BoundTool:
    """A kind with the options of one declaration, and those of the step that uses it."""

    kind: Kind
    spec: ToolSpec
    place: Place
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the declaration."""
        return self.spec.name

    @property
    def description(self) -> str:
        """The declared description, or the kind's."""
        return self.spec.description or self.kind.description

    @property
    def parameters(self) -> JsonObject:
        """JSON Schema of the arguments."""
        return self.kind.parameters(self.kind.options.model_validate(revealed({**self.spec.options, **self.options})))

    @property
    def runs_here(self) -> bool:
        """Whether it may be called in the caller's process, by the declaration alone."""
        asked = self.kind.runs_here
        if self.kind.bounds_itself or asked is None:
            return self.kind.bounds_itself
        return asked(self.kind.options.model_validate(revealed(self.spec.options)))

    def run(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Answer within this process; every failure is `ToolResult.error`."""
        started = time.perf_counter()
        try:
            chosen = revealed({**self.spec.options, **self.options})
            assert isinstance(chosen, dict)
            result = self._answer(arguments, chosen)
        except UserError as error:
            result = failed(f"tool {self.name!r}: {error}")
        except (Exception, SystemExit) as error:
            # The boundary: a bug in one tool (or in a user's function) must not end the worker or the job.
            result = failed(f"{type(error).__name__}: {error}")
        return clip(result, max(self.spec.limits.result_chars, self.kind.result_chars)).evolve(
            latency_s=time.perf_counter() - started
        )

    def _answer(self, arguments: Mapping[str, Any], options: Mapping[str, Any]) -> ToolResult:
        try:
            chosen = self.kind.options.model_validate(options)
            given = self.kind.arguments.model_validate(arguments)
        except ValidationError as error:
            return failed(f"tool {self.name!r}: {_problems(error)}")
        return self.kind.call(given, chosen, self.place)


def failed(reason: str, *, value: Json = None, truncated: bool = False, transient: bool = False) -> ToolResult:
    """Return an error as data, with what there was until then."""
    return ToolResult(value=value, error=printable(reason)[:2000], truncated=truncated, transient=transient)


def read_arguments(tools: Mapping[str, Tool], name: str, arguments: str) -> dict[str, Any] | ToolResult:
    """Return the arguments of a model's tool call, or the error to send back to it.

    A name outside `tools` is an error whatever asks for it: only a declaration grants a tool, never a model's answer or
    an item's text.
    """
    if name not in tools:
        return failed(f"there is no tool {name!r} here; there are: {', '.join(sorted(tools)) or 'none'}")
    try:
        given = read_mended(arguments.strip() or "{}").value
        given = read_json(given) if isinstance(given, str) else given
    except ValueError as error:
        return failed(f"expected the arguments as a JSON object: {error}")
    return given if isinstance(given, dict) else failed(f"expected the arguments as a JSON object, got {given!r:.100}")


def clip(result: ToolResult, chars: int) -> ToolResult:
    """Return the result as it can be kept: of whole characters, cut to `chars` characters of JSON (a text then)."""
    if size_of(result.value).depth > MAX_DEPTH:
        return failed(f"the answer is nested more than {MAX_DEPTH} levels deep")
    try:
        text = to_json(result.value)
    except ValueError:
        text = b"\\u0000"
    if b"\\u0000" in text:
        result = result.evolve(value=printable_json(result.value))
        text = to_json(result.value)
    if len(text) <= chars:
        return result
    whole = result.value if isinstance(result.value, str) else text.decode(errors="replace")
    return result.evolve(value=whole[:chars], truncated=True)


def definition(tool: Tool) -> JsonObject:
    """Return a tool as the `tools` list of the OpenAI chat API wants it."""
    function: Json = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def mismatches(arguments: JsonObject, schema: JsonObject) -> list[str]:
    """Return what in the arguments does not fit a JSON Schema, worst first, at most five."""
    return list(map(str, validator_of(schema).misfits(arguments)))


def schema_of(model: type[BaseModel]) -> JsonObject:
    """Return a model's JSON Schema without the titles that pydantic adds: they cost tokens and tell nothing."""
    return json.loads(json.dumps(_untitled(model.model_json_schema())))  # type: ignore[no-any-return]


def _untitled(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _untitled(part) for key, part in schema.items() if key != "title" or isinstance(part, dict)}
    return [_untitled(part) for part in schema] if isinstance(schema, list) else schema


def _problems(error: ValidationError) -> str:
    parts = ((".".join(map(str, problem["loc"])), problem["msg"]) for problem in error.errors()[:5])
    return "; ".join(f"{where}: {what}" if where else what for where, what in parts)
