"""The ladder: tiers, their models, prices and limits, and the profile that names them all."""

from datetime import date
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from schemas.base import Frozen, Json


class Structured(StrEnum):
    """A way to ask a model for JSON, strongest first."""

    JSON_SCHEMA = "json_schema"
    TOOL_CALL = "tool_call"
    JSON_OBJECT = "json_object"
    PROMPT = "prompt"


class Price(Frozen):
    """Dollars per million tokens; a missing figure is unknown, not free."""

    input: float | None = Field(default=None, ge=0)
    cached_input: float | None = Field(default=None, ge=0)
    output: float | None = Field(default=None, ge=0)
    source: str = "profile"
    as_of: date | None = None


class Limits(Frozen):
    """What a provider allows one model and key, over all workers together."""

    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    in_flight: int | None = Field(default=None, gt=0)


class Model(Frozen):
    """One model as litellm names it (`provider/model`), with what calling it needs."""

    name: str = Field(min_length=1)
    api_base: str | None = None
    #: Name of the environment variable that holds the key; the key itself never travels.
    api_key_env: str | None = None
    params: dict[str, Json] = Field(default_factory=dict)
    price: Price | None = None
    limits: Limits = Limits()
    structured: tuple[Structured, ...] = (
        Structured.JSON_SCHEMA,
        Structured.TOOL_CALL,
        Structured.JSON_OBJECT,
        Structured.PROMPT,
    )
    logprobs: bool = False
    context_tokens: int | None = Field(default=None, gt=0)


class TierKind(StrEnum):
    """What answers on a tier."""

    MODEL = "model"
    #: Models behind a provider's Batch API: about half the price, answers within a day.
    BATCH = "batch"
    #: Plain functions; no model.
    TOOLS = "tools"


class Tier(Frozen):
    """A rung of the ladder."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    kind: TierKind = TierKind.MODEL
    queue: str = ""
    models: tuple[Model, ...] = ()
    #: Calls in flight in one worker process.
    concurrency: int = Field(default=32, gt=0, le=2000)
    timeout_s: float = Field(default=60.0, gt=0)
    #: Seconds that a model which failed on its own account is left alone.
    cooldown_s: float = Field(default=15.0, gt=0)

    @model_validator(mode="after")
    def _fill(self) -> Self:
        if not self.queue:
            object.__setattr__(self, "queue", self.name)
        if self.kind is not TierKind.TOOLS and not self.models:
            raise ValueError(f"tier '{self.name}' names no models; list at least one under `models:`")
        return self


class Service(Frozen):
    """A model server that an embedded `firstline run` starts and stops with the profile."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    #: `simulator` replays a script, `llama` serves a GGUF file.
    kind: str = Field(pattern=r"^(simulator|llama)$")
    #: Path of the simulator's script, or name or path of the model.
    source: str
    options: dict[str, Json] = Field(default_factory=dict)


class Profile(Frozen):
    """A ladder (cheapest tier first), and who plans."""

    name: str
    description: str = ""
    tiers: tuple[Tier, ...] = Field(min_length=1)
    #: Tier of the orchestrator model (plans, referrals, checkpoints); the top tier unless named.
    orchestrator: str | None = None
    #: `api_base: service:NAME` in a model points at one of these.
    services: tuple[Service, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [tier.name for tier in self.tiers]
        doubled = {name for name in names if names.count(name) > 1}
        if doubled:
            raise ValueError(f"tier names must differ; twice: {', '.join(sorted(doubled))}")
        if self.orchestrator is not None and self.orchestrator not in names:
            raise ValueError(f"orchestrator: expected one of {', '.join(names)}, got '{self.orchestrator}'")
        return self

    @property
    def ladder(self) -> tuple[Tier, ...]:
        """The tiers that models answer on, cheapest first."""
        return tuple(tier for tier in self.tiers if tier.kind is not TierKind.TOOLS)

    def tier(self, name: str) -> Tier | None:
        """Return the tier of that name, or None."""
        return next((tier for tier in self.tiers if tier.name == name), None)
