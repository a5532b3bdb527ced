"""The ladder: tiers, their models, prices and limits, and the profile that names them all."""

import re
from datetime import date
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from firstline.schemas.base import Frozen, Json
from firstline.schemas.secret_names import refuse_written


class Structured(StrEnum):
    """A way to ask a model for JSON, strongest first."""

    JSON_SCHEMA = "json_schema"
    TOOL_CALL = "tool_call"
    JSON_OBJECT = "json_object"
    PROMPT = "prompt"
    #: No JSON is written: the closed fields are typed questions to a decision model, which picks from their labels.
    DECISIONS = "decisions"


class Lane(StrEnum):
    """How soon a provider answers, which its prices go by; the names are those of `service_tier`."""

    STANDARD = "standard"
    #: Slower and about half the price; a full lane refuses calls.
    FLEX = "flex"
    BALANCED = "balanced"
    PRIORITY = "priority"
    FAST = "fast"
    ULTRAFAST = "ultrafast"
    #: The Batch API: about half the price, within a day.
    BATCH = "batch"

    @property
    def is_slow(self) -> bool:
        """Whether calls are answered one by one there, later and for less than on the ordinary lane."""
        return self in (Lane.FLEX, Lane.BALANCED)


class CacheMarks(StrEnum):
    """How a provider is told which part of a prompt its cache is to keep."""

    #: It keeps what it likes, and nothing is said.
    AUTOMATIC = "automatic"
    #: It keeps what stands before a mark, and nothing else (`cache_control`): Anthropic, Bedrock.
    CACHE_CONTROL = "cache_control"
    #: It keeps what stands before a mark and, unless told otherwise, every whole prompt too, at the price of a write:
    #: OpenAI from GPT-5.6 on.
    BREAKPOINT = "breakpoint"


class PromptCache(Frozen):
    """How a provider's prompt cache works for one model."""

    marks: CacheMarks = CacheMarks.AUTOMATIC
    #: Tokens of the shortest prefix that it keeps.
    min_tokens: int = Field(default=1024, gt=0)
    #: Seconds that a prefix lives after it was last written or read.
    life_s: float = Field(default=300.0, gt=0)


#: Providers that have a slow lane for single calls; others leave `service_tier` unread or refuse it.
WITH_SLOW_LANES = frozenset({"azure", "bedrock", "gemini", "openai", "sail", "vertex_ai"})


class Rates(Frozen):
    """Dollars per million tokens of each kind; a missing figure is unknown, not free."""

    input: float | None = Field(default=None, ge=0)
    #: Read from the provider's prompt cache; what input costs where it is missing.
    cached_input: float | None = Field(default=None, ge=0)
    #: Written to the prompt cache, for its usual life and for longer (an hour, or more).
    cache_write: float | None = Field(default=None, ge=0)
    cache_write_long: float | None = Field(default=None, ge=0)
    output: float | None = Field(default=None, ge=0)
    #: What output costs where it is missing.
    reasoning: float | None = Field(default=None, ge=0)
    audio_input: float | None = Field(default=None, ge=0)
    audio_output: float | None = Field(default=None, ge=0)
    #: What input and output cost where they are missing.
    image_input: float | None = Field(default=None, ge=0)
    image_output: float | None = Field(default=None, ge=0)
    #: Dollars of one web search.
    search_usd: float | None = Field(default=None, ge=0)


class Price(Rates):
    """What a model costs: rates, those that differ for long prompts and on other lanes, and who says so."""

    #: Length of a prompt in tokens -> the rates that are others beyond it.
    above: dict[int, Rates] = Field(default_factory=dict)
    #: The rates on lanes that the model's parameters do not ask for.
    lanes: dict[Lane, Rates] = Field(default_factory=dict)
    source: str = "profile"
    as_of: date | None = None


class Limits(Frozen):
    """What a provider allows one model and key, over all workers together."""

    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    in_flight: int | None = Field(default=None, gt=0)


_SECRET_PARAMS = frozenset(
    {
        "api_key",
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "azure_ad_token",
        "vertex_credentials",
    }
)


def _slow(lane: Lane | None) -> Lane | None:
    if lane is not None and not lane.is_slow:
        raise ValueError(
            f"expected a slow lane, `flex` or `balanced`, got '{lane.value}'; a faster one belongs into a model's "
            "`params`, the Batch API is a tier of kind `batch`"
        )
    return lane


#: Stands in the name of a key's variable for the tenant whose key it is.
TENANT = "{tenant}"


class Model(Frozen):
    """One model as litellm names it (`provider/model`), with what calling it needs."""

    name: str = Field(min_length=1)
    #: URL, or `service:NAME` for one of the profile's services.
    api_base: str | None = None
    #: Name of the environment variable that holds the key; the key itself never travels. `{tenant}` in it stands for
    #: the job's tenant in capitals: `OPENAI_KEY_{tenant}` is OPENAI_KEY_ACME for tenant `acme`.
    api_key_env: str | None = None
    params: dict[str, Json] = Field(default_factory=dict)
    #: The slow lane that it may be asked on where its job has time; None: its tier's, `standard`: none.
    service_tier: Lane | None = None
    price: Price | None = None
    #: None: as its provider's is known to be.
    prompt_cache: PromptCache | None = None
    limits: Limits = Limits()
    structured: tuple[Structured, ...] = (
        Structured.JSON_SCHEMA,
        Structured.TOOL_CALL,
        Structured.JSON_OBJECT,
        Structured.PROMPT,
    )
    logprobs: bool = False
    context_tokens: int | None = Field(default=None, gt=0)

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        bare = None if name is None else name.replace(TENANT, "T")
        if bare is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,80}", bare):
            raise ValueError("expected the name of an environment variable such as OPENAI_API_KEY, not the key itself")
        return name

    @field_validator("params")
    @classmethod
    def _hold_no_key(cls, params: dict[str, Json]) -> dict[str, Json]:
        keys = sorted(name for name in params if name in _SECRET_PARAMS)
        if keys:
            raise ValueError(f"a profile holds no secrets: put '{keys[0]}' into the environment of the workers")
        refuse_written(params)
        return params

    @field_validator("structured")
    @classmethod
    def _decides_or_writes(cls, modes: tuple[Structured, ...]) -> tuple[Structured, ...]:
        if Structured.DECISIONS in modes and len(modes) > 1:
            raise ValueError("`decisions` stands alone: a decision model writes no JSON")
        return modes

    @field_validator("service_tier")
    @classmethod
    def _is_slow(cls, lane: Lane | None) -> Lane | None:
        return lane if lane is Lane.STANDARD else _slow(lane)

    @field_validator("api_base")
    @classmethod
    def _hold_no_password(cls, url: str | None) -> str | None:
        refuse_written(url)
        return url

    @property
    def decides(self) -> bool:
        """Whether it is a decision model: asked typed questions, never for a text."""
        return self.structured == (Structured.DECISIONS,)

    @property
    def has_slow_lane(self) -> bool:
        """Whether its provider has a slow lane, and its parameters leave the choice open."""
        return self.name.partition("/")[0] in WITH_SLOW_LANES and "service_tier" not in self.params

    @property
    def service(self) -> str | None:
        """The name of the service that `api_base` points at, or None."""
        scheme, colon, name = (self.api_base or "").partition(":")
        return name if colon and scheme == "service" else None

    def for_tenant(self, tenant: str) -> Self:
        """Return the model with the name of that tenant's own key."""
        if self.api_key_env is None or TENANT not in self.api_key_env:
            return self
        own = re.sub(r"[^A-Z0-9]", "_", tenant.upper())
        return self.evolve(api_key_env=self.api_key_env.replace(TENANT, own))


class TierKind(StrEnum):
    """What answers on a tier."""

    MODEL = "model"
    #: Models behind a provider's Batch API: about half the price, answers within a day.
    BATCH = "batch"
    #: Decision models: they pick from the labels of closed fields, with probabilities, and serve nothing uncertified.
    DECISION = "decision"
    #: A small classifier of the job's own, trained while the job runs on what the ladder answers.
    STUDENT = "student"
    #: Plain functions; no model.
    TOOLS = "tools"

    @property
    def is_on_ladder(self) -> bool:
        """Whether models answer there: a student stands below the ladder and tools beside it."""
        return self not in (TierKind.STUDENT, TierKind.TOOLS)


class ProviderBatchTerms(Frozen):
    """How a tier of kind `batch` fills and follows what it hands to a provider's Batch API."""

    #: Requests that make a provider batch full.
    requests: int = Field(default=1000, gt=0, le=50_000)
    #: Seconds after which one is submitted though it is not full.
    fill_s: float = Field(default=60.0, ge=0)
    #: Seconds between two looks at one that is under way.
    poll_s: float = Field(default=60.0, gt=0)
    #: Seconds within which the provider promises to end: a job with less time than that takes no batch tier by itself.
    window_s: float = Field(default=24 * 3600.0, gt=0)


class SlowLaneTerms(Frozen):
    """How a tier uses its slow lane."""

    #: Seconds that a job must have left: with less it is asked on the ordinary lane.
    window_s: float = Field(default=3600.0, gt=0)
    #: Seconds that an answer may take there.
    timeout_s: float = Field(default=900.0, gt=0)
    #: Seconds that it is left alone once it was full; twice as long each time that it is full right after.
    pause_s: float = Field(default=30.0, gt=0)


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
    #: Of a tier of kind `batch`.
    bulk: ProviderBatchTerms = ProviderBatchTerms()
    #: The slow lane that its models may be asked on where the job has time.
    service_tier: Lane | None = None
    slow_lane: SlowLaneTerms = SlowLaneTerms()

    @field_validator("service_tier")
    @classmethod
    def _is_slow(cls, lane: Lane | None) -> Lane | None:
        return _slow(lane)

    @model_validator(mode="after")
    def _has_a_lane(self) -> Self:
        asked = [model for model in self.models if model.service_tier not in (None, Lane.STANDARD)]
        if not asked and self.service_tier is None:
            return self
        if self.kind is not TierKind.MODEL:
            raise ValueError(f"tier '{self.name}' is of kind `{self.kind.value}`, which has no `service_tier`")
        lacking = [model.name for model in asked or self.models if not model.has_slow_lane]
        if lacking and (asked or len(lacking) == len(self.models)):
            raise ValueError(
                f"service_tier: {', '.join(lacking)} cannot be asked on a slow lane; expected a model of "
                f"{', '.join(sorted(WITH_SLOW_LANES))} without `service_tier` in its `params`"
            )
        return self

    @model_validator(mode="after")
    def _fill(self) -> Self:
        if not self.queue:
            object.__setattr__(self, "queue", self.name)
        if self.kind is TierKind.DECISION:
            object.__setattr__(
                self, "models", tuple(one.evolve(structured=(Structured.DECISIONS,)) for one in self.models)
            )
        if self.kind.is_on_ladder and not self.models:
            raise ValueError(f"tier '{self.name}' names no models; list at least one under `models:`")
        return self

    def only(self, *names: str) -> Self:
        """Return the tier with the models of these names alone; itself where that is all of them."""
        kept = tuple(model for model in self.models if model.name in names)
        return self if not kept or len(kept) == len(self.models) else self.evolve(models=kept)

    def for_tenant(self, tenant: str) -> Self:
        """Return the tier with the names of that tenant's own keys."""
        return self.evolve(models=tuple(model.for_tenant(tenant) for model in self.models))


class Service(Frozen):
    """A model server that an embedded `firstline run` starts and stops with the profile."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    #: `simulator` replays a script, `llama` serves a GGUF file.
    kind: Literal["simulator", "llama"]
    #: Name or path of the model (llama), path of the script (simulator; the job file's `script` when missing).
    source: str | None = None
    options: dict[str, Json] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_a_model(self) -> Self:
        if self.kind == "llama" and self.source is None:
            raise ValueError(f"service '{self.name}' names no model; add `source:` with its name or a GGUF file's path")
        return self


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
        if not self.ladder:
            raise ValueError("expected at least one tier that models answer on, got tiers of kind `tools` only")
        if self.rungs[-1].kind is TierKind.DECISION:
            raise ValueError(
                f"tier '{self.rungs[-1].name}' is of kind `decision`: a tier of models has to stand above it"
            )
        if len([tier for tier in self.tiers if tier.kind is TierKind.STUDENT]) > 1:
            raise ValueError("expected at most one tier of kind `student`: it stands below all others")
        services = [service.name for service in self.services]
        for model in self.models:
            if model.service is not None and model.service not in services:
                known = ", ".join(services) or "no services"
                raise ValueError(
                    f"model '{model.name}' points at service '{model.service}', but `services:` has {known}"
                )
        return self

    @property
    def models(self) -> tuple[Model, ...]:
        """Every model of every tier."""
        return tuple(model for tier in self.tiers for model in tier.models)

    @property
    def rungs(self) -> tuple[Tier, ...]:
        """The tiers that models answer on, at once or in batches, cheapest first."""
        return tuple(tier for tier in self.tiers if tier.kind.is_on_ladder)

    @property
    def ladder(self) -> tuple[Tier, ...]:
        """The tiers that models answer on at once, cheapest first: those of kind `batch` only a job chooses."""
        return tuple(tier for tier in self.rungs if tier.kind is not TierKind.BATCH)

    @property
    def student(self) -> Tier | None:
        """The tier of kind `student`, served by the workers of the lowest tier unless it names a queue; None: none."""
        own = next((tier for tier in self.tiers if tier.kind is TierKind.STUDENT), None)
        return own.evolve(queue=self.ladder[0].queue) if own is not None and own.queue == own.name else own

    def tier(self, name: str) -> Tier | None:
        """Return the tier of that name, or None."""
        if self.student is not None and name == self.student.name:
            return self.student
        return next((tier for tier in self.tiers if tier.name == name), None)
