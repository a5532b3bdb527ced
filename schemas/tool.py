"""A tool: a plain function that answers instead of a model, as declared and as it answers."""

from pydantic import Field

from schemas.base import Frozen, Json


class ToolSpec(Frozen):
    """A tool as a workflow, a skill or a user's folder declares it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    #: `search`, `sql`, `http_get`, `python`, `text`, `function`, `mcp`.
    kind: str
    description: str = ""
    options: dict[str, Json] = Field(default_factory=dict)


class ToolResult(Frozen):
    """What a tool answered: a value, or an error as data."""

    value: Json = None
    error: str | None = None
    latency_s: float = 0.0
    truncated: bool = False
