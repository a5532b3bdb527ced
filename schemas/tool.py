"""A tool: a plain function that answers instead of a model, as declared and as it answers."""

from pydantic import Field, field_validator

from firstline.schemas.access import Role
from firstline.schemas.base import Frozen, Json
from firstline.schemas.secret_names import refuse_written


class ToolLimits(Frozen):
    """What one call of a tool may use; it is killed with all its children at the first limit it meets."""

    timeout_s: float = Field(default=60.0, gt=0, le=3600)
    #: Address space of each process of the call.
    memory_bytes: int = Field(default=2 * 1024**3, ge=64 * 1024**2)
    processes: int = Field(default=64, ge=1, le=1000)
    #: A larger answer is cut (`ToolResult.truncated`).
    result_chars: int = Field(default=200_000, ge=100, le=5_000_000)


class Grant(Frozen):
    """Who may have models choose a tool by themselves: in a goal, a step of kind `plan`, or while a plan is adapted."""

    #: `*`: any.
    tenant: str = "*"
    #: The least role.
    role: Role = Role.SUBMITTER


class ToolSpec(Frozen):
    """A tool as a workflow, a skill or a user's folder declares it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)
    #: One of `firstline.workers.tools.registry.KINDS`.
    kind: str
    #: What a model reads when it chooses; the kind's own description when empty.
    description: str = ""
    #: Set by the person who declares the tool, never by a model or an item.
    options: dict[str, Json] = Field(default_factory=dict)
    limits: ToolLimits = ToolLimits()
    #: Names of the environment variables that the tool may see besides the harmless ones (PATH, HOME, LANG ...).
    env: tuple[str, ...] = ()
    #: Nobody unless named: a workflow's own steps and skills use a tool without a grant.
    grants: tuple[Grant, ...] = ()

    @field_validator("options")
    @classmethod
    def _hold_no_secret(cls, options: dict[str, Json]) -> dict[str, Json]:
        refuse_written(options)
        return options

    def is_granted(self, *, tenant: str, role: Role) -> bool:
        """Say whether models may choose the tool in jobs that this tenant and role submit."""
        return any(grant.tenant in ("*", tenant) and role.covers(grant.role) for grant in self.grants)


class ToolResult(Frozen):
    """What a tool answered: a value, or an error as data (a value beside an error is what there was until then)."""

    value: Json = None
    error: str | None = None
    latency_s: float | None = Field(default=None, ge=0)
    #: The value is not all there was: rows, text or output were cut at a limit.
    truncated: bool = False
    #: The error may be gone at the next try: a server that was away, a process that died.
    transient: bool = False
