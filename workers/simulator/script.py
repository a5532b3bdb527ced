"""What the simulator plays: recordings, rules per model, limits and faults, read from YAML."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from firstline.schemas.base import Frozen
from firstline.schemas.errors import UserError
from firstline.schemas.tier import Lane
from firstline.workers.providers.recording import RecordedToolCall
from firstline.workers.simulator.latency import Constant, Latency


class FaultKind(StrEnum):
    """What can go wrong with a call."""

    # Refused before any work: nothing is paid.
    RATE_LIMIT = "rate_limit"
    QUOTA = "quota"
    AUTH = "auth"
    BAD_REQUEST = "bad_request"
    NOT_FOUND = "not_found"
    CONTEXT_LENGTH = "context_length"
    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    #: The lane that was asked for has no room.
    LANE_FULL = "lane_full"
    CONTENT_FILTER = "content_filter"
    # No answer ever comes.
    HANG = "hang"
    DROP = "drop"
    # A paid answer that is no good.
    TRUNCATION = "truncation"
    MALFORMED = "malformed"
    REPAIRABLE = "repairable"
    OFF_SCHEMA = "off_schema"
    REFUSAL = "refusal"
    FILTERED = "filtered"
    EMPTY = "empty"
    NO_USAGE = "no_usage"
    ZERO_USAGE = "zero_usage"
    #: Of a decision model: answers without how likely they are.
    NO_PROBABILITIES = "no_probabilities"


class Fault(Frozen):
    """One fault and when it strikes."""

    kind: FaultKind
    #: Share of the calls it strikes, among those that `first` and `every` leave.
    probability: float = Field(default=1.0, ge=0, le=1)
    #: Only the first n calls of the model.
    first: int | None = Field(default=None, ge=1)
    #: Only each nth call of the model.
    every: int | None = Field(default=None, ge=1)
    #: Only calls that ask for this lane, which are counted by themselves.
    service_tier: Lane | None = None
    #: Seconds named in Retry-After (rate_limit, overloaded).
    retry_after_s: float | None = Field(default=None, ge=0)
    #: How long a hang lasts; the connection is closed then.
    seconds: float = Field(default=600.0, gt=0)

    def may_strike(self, nth: int) -> bool:
        """Say whether this fault concerns the nth call of its model, counted from 1."""
        return (self.first is None or nth <= self.first) and (self.every is None or nth % self.every == 0)


class Confidence(Frozen):
    """Probability of the answer's tokens, drawn around a mean for right and for wrong answers."""

    right: float = Field(default=0.95, gt=0, lt=1)
    wrong: float = Field(default=0.65, gt=0, lt=1)
    #: Larger is tighter: alpha + beta of the Beta distribution that is drawn from.
    concentration: float = Field(default=12.0, gt=0)


class Answer(Frozen):
    """How a model comes to an answer."""

    #: `fixed` text, `echo` of the last user message, a value `from_schema`, `truth` from the script's truth file.
    kind: Literal["fixed", "echo", "from_schema", "truth"] = "from_schema"
    text: str = ""
    #: Share of right answers; a wrong one is one of `wrong`, or else another valid value of the schema.
    accuracy: float = Field(default=1.0, ge=0, le=1)
    #: The same where earlier turns show two worked examples or more; None: they make no difference.
    accuracy_with_examples: float | None = Field(default=None, ge=0, le=1)
    wrong: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "fixed" and not self.text:
            raise ValueError("an answer of kind `fixed` needs its `text`")
        return self


class RateLimits(Frozen):
    """Limits that the simulator enforces for one model with token buckets of a minute's width."""

    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    #: Part of a minute's allowance that may be used at once.
    burst: float = Field(default=1.0, gt=0, le=1)


class Capability(StrEnum):
    """A way to ask for JSON that an endpoint may or may not know."""

    JSON_SCHEMA = "json_schema"
    TOOLS = "tools"
    JSON_OBJECT = "json_object"


def _shorthand_latency(value: Any) -> Any:
    match value:
        case int() | float():
            return {"kind": "constant", "seconds": value}
        case "recorded":
            return {"kind": "recorded"}
        case _:
            return value


def _shorthand_answer(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


class Rule(Frozen):
    """How one model behaves."""

    answer: Annotated[Answer, BeforeValidator(_shorthand_answer)] | None = None
    #: Calls wished for before it answers, one a round, where the request offers tools; whether it offers these or not.
    tool_calls: tuple[RecordedToolCall, ...] = ()
    latency: Annotated[Latency, BeforeValidator(_shorthand_latency), Field(discriminator="kind")] = Constant(seconds=0)
    faults: tuple[Fault, ...] = ()
    limits: RateLimits = RateLimits()
    confidence: Confidence = Confidence()
    context_tokens: int | None = Field(default=None, gt=0)
    supports: tuple[Capability, ...] = tuple(Capability)
    #: What happens to a request for JSON that is not supported: a 400, or silence.
    unsupported: Literal["refuse", "ignore"] = "refuse"
    #: Lanes that it has; a call that asks for another one is answered on the ordinary one, and says so.
    lanes: tuple[Lane, ...] = tuple(Lane)
    #: Smallest prompt prefix, in tokens, that is served from the prompt cache when it repeats; None: no cache.
    cache_from_tokens: int | None = Field(default=1024, gt=0)
    #: Seconds that a marked prefix lives after it was last used.
    cache_life_s: float = Field(default=300.0, gt=0)
    #: Prompts without a mark are kept too: what repeats of them is served from then on.
    cache_unmarked: bool = True


class BatchRule(Frozen):
    """How the Batch API behaves."""

    turnaround_s: float = Field(default=1.0, ge=0)
    #: Share of a batch's requests that expire unanswered.
    expired: float = Field(default=0.0, ge=0, le=1)
    #: Only the first n batches lose requests so; the later ones complete.
    expire_first: int | None = Field(default=None, ge=1)


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Files = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]


class Script(Frozen):
    """All that the simulator plays."""

    seed: int = 0
    #: The same request gets the same answer however often it comes; else each time by new luck.
    steady: bool = False
    #: Files of recorded answers (JSONL), relative to the script.
    recordings: Files = ()
    #: Files of right answers (JSONL: `contains` or `key`, and `text`), for answers of kind `truth`.
    truth: Files = ()
    #: Rules by model name; `*` stands for every model that is not named.
    models: dict[str, Rule] = Field(default_factory=dict)
    batches: BatchRule = BatchRule()

    def rule(self, model: str) -> Rule | None:
        """Return the rule for a model, by full name, by its last part, or the one of `*`; else None."""
        return self.models.get(model) or self.models.get(model.rpartition("/")[2]) or self.models.get("*")


def load_script(path: Path) -> Script:
    """Read a script; the paths in it become absolute, seen from the script's folder. Raises `UserError`."""
    script = parse_script(_read(path), source=str(path))
    return script.evolve(
        recordings=tuple(str(path.parent / name) for name in script.recordings),
        truth=tuple(str(path.parent / name) for name in script.truth),
    )


def parse_script(text: str, *, source: str = "script") -> Script:
    """Validate the YAML text of a script; a `UserError` names the field, what was expected and what came."""
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{source}: not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{source}: expected a mapping with `models:` or `recordings:`, got {type(raw).__name__}")
    try:
        script = Script.model_validate(raw)
    except ValidationError as error:
        raise UserError("\n".join(f"{source}: {line}" for line in _problems(error))) from None
    if not script.models and not script.recordings:
        raise UserError(f"{source}: names neither `models:` nor `recordings:`; there is nothing to answer with")
    return script


def _problems(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(str(part) for part in problem['loc']) or '(root)'}: {problem['msg']}, got {problem['input']!r:.80}"
        for problem in error.errors(include_url=False)
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; expected a simulator script in YAML") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as UTF-8 text: {error}") from None
