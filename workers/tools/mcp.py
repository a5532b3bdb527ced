"""Tools of an MCP server (Model Context Protocol), over standard input and output or Streamable HTTP."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Self, TextIO, TypeVar

from pydantic import Field, TypeAdapter, model_validator

from firstline.schemas.base import Frozen, Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.tool import ToolResult, ToolSpec
from firstline.workers.rules.json_text import as_json
from firstline.workers.tools.base import Kind, OpenArguments, Place, failed, mismatches

if TYPE_CHECKING:
    from mcp import Client

_T = TypeVar("_T")
_MISSING = 'MCP servers need the extra "mcp": pip install "firstline[mcp]"'
_MAX_PAGES, _MAX_LIST_CHARS = 20, 5_000_000


#: Name, description and schema of the arguments of each tool of a server.
_TOOLS: TypeAdapter[list[tuple[str, str, JsonObject]]] = TypeAdapter(list[tuple[str, str, JsonObject]])


class Options(Frozen):
    """How to reach a server, and which of its tools this is."""

    #: A program that speaks MCP on its standard input and output ...
    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    #: Folder that the program runs in; that of the file which declares the tool when missing.
    cwd: str | None = None
    #: ... or the URL of a server that speaks Streamable HTTP.
    url: str | None = None
    timeout_s: float = Field(default=30.0, gt=0, le=600)
    #: The tool on the server; `declared` fills it in, and the schema of its arguments.
    tool: str | None = None
    parameters: JsonObject = Field(default_factory=lambda: JsonObject(type="object"))

    @model_validator(mode="after")
    def _reaches_one_server(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("expected either command or url")
        return self


def call(arguments: OpenArguments, options: Options, place: Place) -> ToolResult:
    """Call the tool; its structured content is the value, or else its text. Connecting counts in `timeout_s`.

    Where the options name no tool, the value is a list of those that the server has, for `declared`.
    """
    name = options.tool
    if name is not None and (wrong := mismatches(arguments.given, options.parameters)):
        return failed("the arguments do not fit: " + "; ".join(wrong))

    async def ask(client: "Client") -> ToolResult:
        return await _listed(client) if name is None else _result(await client.call_tool(name, arguments.given))

    try:
        return _session(options, place, ask)
    except UserError as error:
        return failed(str(error))


async def _listed(client: "Client") -> ToolResult:
    tools: list[Json] = []
    cursor: str | None = None
    for _ in range(_MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += [[tool.name, tool.description or "", tool.input_schema] for tool in page.tools]
        cursor = page.next_cursor
        if not cursor:
            break
    return ToolResult(value=tools)


def server_of(spec: ToolSpec) -> ToolSpec:
    """Return the declaration that lists a server's tools when it is called."""
    options = {name: value for name, value in spec.options.items() if name != "tool"}
    return spec.evolve(options=options, limits=spec.limits.evolve(result_chars=_MAX_LIST_CHARS))


def declared(spec: ToolSpec, listed: ToolResult) -> Iterator[ToolSpec]:
    """Yield a declaration for each tool that a server lists, named `<spec.name>_<tool>`; only `tool` where it is given.

    UserError where the server could not be reached, or lists no end of tools.
    """
    if listed.error is not None or listed.truncated or not isinstance(listed.value, list):
        raise UserError(listed.error or f"the MCP server of {spec.name!r} lists more tools than can be kept")
    wanted = spec.options.get("tool")
    for tool, description, parameters in _TOOLS.validate_python(listed.value):
        if wanted in (None, tool):
            name = "".join(char if char.isascii() and char.isalnum() else "_" for char in f"{spec.name}_{tool}".lower())
            options = {**spec.options, "tool": tool, "parameters": parameters}
            yield spec.evolve(name=name[:64], description=description, options=options)


def _session(options: Options, place: Place, ask: Callable[["Client"], Awaitable[_T]]) -> _T:
    try:
        from mcp import Client, MCPError
    except ImportError:
        raise UserError(_MISSING) from None
    where = options.url or options.command

    async def bounded() -> _T:
        async with asyncio.timeout(options.timeout_s):
            with open(os.devnull, "w", encoding="utf-8") as silence:
                async with Client(_server(options, place, silence), read_timeout_seconds=options.timeout_s) as client:
                    return await ask(client)

    try:
        return asyncio.run(bounded())
    except TimeoutError:
        raise UserError(f"the MCP server {where} did not answer within {options.timeout_s:g} s") from None
    except MCPError as error:
        raise UserError(f"the MCP server {where} refused: {error}") from error
    except (OSError, ValueError, BaseExceptionGroup) as error:
        raise UserError(f"cannot reach the MCP server {where}: {_first(error)}") from error


def _server(options: Options, place: Place, silence: TextIO) -> Any:
    from mcp import StdioServerParameters, stdio_client

    if options.command is None:
        return options.url
    given = StdioServerParameters(
        command=options.command, args=list(options.args), env=options.env, cwd=place.path(options.cwd or "")
    )
    return stdio_client(given, errlog=silence)


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _result(answer: Any) -> ToolResult:
    texts = [block.text if block.type == "text" else f"[{block.type}]" for block in answer.content]
    text = "\n".join(texts)
    if answer.is_error:
        return failed(text or "the tool failed without saying why")
    value: Json = text if answer.structured_content is None else as_json(answer.structured_content)
    return ToolResult(value=value)


MCP = Kind(
    name="mcp",
    description="Call a tool of an MCP server.",
    arguments=OpenArguments,
    options=Options,
    call=call,
    schema=lambda options: options.parameters,
)
