"""A user's own function as a tool, by dotted path."""

import asyncio
import inspect

from pydantic import Field

from firstline.config.catalogue.functions import load
from firstline.schemas.base import Frozen, JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.tool import ToolResult
from firstline.workers.rules import user_functions
from firstline.workers.rules.json_text import as_json
from firstline.workers.tools.base import Kind, OpenArguments, Place, failed, mismatches


class Options(Frozen):
    """Which function, and what it takes."""

    #: `module:function`, in the user's folders first.
    path: str
    #: JSON Schema of its keyword arguments.
    parameters: JsonObject = Field(default_factory=lambda: JsonObject(type="object"))
    #: Call it within the worker, as checks are: no process is started for it, and five seconds are its only limit.
    in_process: bool = False


def call(arguments: OpenArguments, options: Options, place: Place) -> ToolResult:
    """Call the function with the arguments by name; what it returns has to fit JSON, what it raises is the error."""
    if wrong := mismatches(arguments.given, options.parameters):
        return failed("the arguments do not fit: " + "; ".join(wrong))
    if options.in_process:
        return _within(arguments.given, options, place)
    try:
        function = load(options.path, folders=place.functions)
    except UserError as error:
        return failed(str(error))
    value = function(**arguments.given)
    return ToolResult(value=as_json(asyncio.run(value) if inspect.iscoroutine(value) else value))


def _within(given: JsonObject, options: Options, place: Place) -> ToolResult:
    match user_functions.call(options.path, named=given, folders=place.functions):
        case user_functions.FunctionResult(value):
            return ToolResult(value=as_json(value))
        case user_functions.Broken(reason):
            return failed(reason)


FUNCTION = Kind(
    name="function",
    description="Call a function of the user.",
    arguments=OpenArguments,
    options=Options,
    call=call,
    schema=lambda options: options.parameters,
    runs_here=lambda options: options.in_process,
)
