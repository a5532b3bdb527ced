"""All kinds of tools by name, and the tools of a job built from their declarations."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from firstline.config.json_schema.validator import SchemaFault, validator_of
from firstline.schemas.errors import UserError
from firstline.schemas.tool import ToolSpec
from firstline.workers.tools.base import BoundTool, Kind, Place
from firstline.workers.tools.function import FUNCTION
from firstline.workers.tools.http_get import HTTP_GET
from firstline.workers.tools.long_texts.gather import GATHER
from firstline.workers.tools.long_texts.split import SPLIT
from firstline.workers.tools.mcp import MCP
from firstline.workers.tools.python_code import PYTHON
from firstline.workers.tools.search import SEARCH
from firstline.workers.tools.sql import SQL
from firstline.workers.tools.text import DATES, DEDUPE, REGEX, UNITS

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (SEARCH, SQL, HTTP_GET, PYTHON, REGEX, DATES, UNITS, DEDUPE, SPLIT, GATHER, FUNCTION, MCP)
}


def build(
    specs: Mapping[str, ToolSpec], place: Place | None = None, options: Mapping[str, Any] | None = None
) -> dict[str, BoundTool]:
    """Return the tools by name, within this process and without limits but their own (`isolate.run` has the hard ones).

    `options` are a step's, which win over those of the declarations. Nothing outside is touched. UserError when a kind
    or an option is unknown, or an option's value is wrong.
    """
    return {name: bind(spec, place or Place(), options) for name, spec in specs.items()}


def bind(spec: ToolSpec, place: Place, options: Mapping[str, Any] | None = None) -> BoundTool:
    """Return one tool; UserError as in `build`."""
    kind = KINDS.get(spec.kind)
    if kind is None:
        raise UserError(f"tool {spec.name!r}: there is no kind {spec.kind!r}; there are: {', '.join(sorted(KINDS))}")
    try:
        # Raises a UserError where a secret that the options name is not here.
        tool = BoundTool(kind, spec, place, options or {})
        validator_of(tool.parameters)
    except ValidationError as error:
        raise UserError(f"tool {spec.name!r}: {_wrong_options(error, kind)}") from None
    except SchemaFault as fault:
        raise UserError(f"tool {spec.name!r}: parameters is not a JSON Schema: {fault}") from None
    return tool


def _wrong_options(error: ValidationError, kind: Kind) -> str:
    problems = []
    for problem in error.errors():
        where = ".".join(map(str, problem["loc"]))
        known = problem["type"] != "extra_forbidden"
        problems.append(f"{where}: {problem['msg']}" if known else f"kind {kind.name} has no option {where!r}")
    return f"{'; '.join(problems)} (options of {kind.name}: {', '.join(sorted(kind.options.model_fields)) or 'none'})"
