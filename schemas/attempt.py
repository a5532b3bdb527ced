"""An attempt: one model call for one subtask, and all that is known of it."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from firstline.schemas.base import Frozen, Json
from firstline.schemas.check import CheckResult
from firstline.schemas.policy import Confidence
from firstline.schemas.tier import Lane


class Blame(StrEnum):
    """Whose fault it is that a call or its answer failed."""

    #: What the item holds: another model may take it.
    ITEM = "item"
    #: What is asked with: parameters, schemas, prompts.
    REQUEST = "request"
    #: The model or its provider.
    MODEL = "model"
    #: The key: a person has to mend or to pay something, or it is used too fast.
    KEY = "key"
    #: The way there.
    NETWORK = "network"


class ErrorKind(StrEnum):
    """Why a call or its answer failed; each kind has its own consequence."""

    # The model's or the provider's fault: another model takes over, the item loses no attempt.
    AUTH = "auth"
    #: No key is set for it where its workers run.
    NO_KEY = "no_key"
    QUOTA = "quota"
    RATE = "rate"
    #: The lane that was asked for (`service_tier`) is full, or there is none.
    LANE = "lane"
    SERVER = "server"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    BAD_REQUEST = "bad_request"
    NOT_FOUND = "not_found"
    # The pair of model and item.
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    # The answer's fault: a retry with feedback, then a stronger tier.
    MALFORMED = "malformed"
    OFF_SCHEMA = "off_schema"
    TRUNCATED = "truncated"
    REFUSED = "refused"
    EMPTY = "empty"
    CHECKS = "checks"
    UNSURE = "unsure"
    # Ours.
    TOOL = "tool"
    INPUT = "input"

    @property
    def blame(self) -> Blame:
        """Whose fault it is, unless what came of other calls says otherwise."""
        return _BLAME.get(self, Blame.MODEL)


_BLAME = {
    ErrorKind.AUTH: Blame.KEY,
    ErrorKind.QUOTA: Blame.KEY,
    ErrorKind.RATE: Blame.KEY,
    ErrorKind.TIMEOUT: Blame.NETWORK,
    ErrorKind.CONNECTION: Blame.NETWORK,
    ErrorKind.BAD_REQUEST: Blame.REQUEST,
    ErrorKind.CONTEXT_LENGTH: Blame.ITEM,
    ErrorKind.CONTENT_FILTER: Blame.ITEM,
    ErrorKind.INPUT: Blame.ITEM,
}


#: Errors of an answer that came: they count against its model. To be unsure is honest, and no error.
WRONG_ANSWERS = frozenset(
    {
        ErrorKind.MALFORMED,
        ErrorKind.OFF_SCHEMA,
        ErrorKind.TRUNCATED,
        ErrorKind.REFUSED,
        ErrorKind.EMPTY,
        ErrorKind.CHECKS,
        ErrorKind.CONTENT_FILTER,
    }
)
#: Errors of calls that brought no answer: the provider's, the network's, the key's or the request's.
UNANSWERED = frozenset(ErrorKind) - WRONG_ANSWERS - {ErrorKind.UNSURE}


class Usage(Frozen):
    """Tokens of one call; None where the provider did not say."""

    #: All of the prompt, whatever its tokens are billed as.
    input_tokens: int | None = Field(default=None, ge=0)
    #: Part of the input tokens that the provider served from its prompt cache.
    cached_tokens: int | None = Field(default=None, ge=0)
    #: Part of the input tokens that the provider wrote to its prompt cache; of these, what it keeps longer than usual.
    cache_write_tokens: int | None = Field(default=None, ge=0)
    cache_write_long_tokens: int | None = Field(default=None, ge=0)
    #: Parts of the input tokens that are sound and images, without those from the cache.
    audio_input_tokens: int | None = Field(default=None, ge=0)
    image_input_tokens: int | None = Field(default=None, ge=0)
    output_tokens: int | None = Field(default=None, ge=0)
    #: Parts of the output tokens.
    reasoning_tokens: int | None = Field(default=None, ge=0)
    audio_output_tokens: int | None = Field(default=None, ge=0)
    image_output_tokens: int | None = Field(default=None, ge=0)
    #: Web searches of the provider's own that the model made.
    searches: int | None = Field(default=None, ge=0)


class TokenLogprob(Frozen):
    """One token of an answer with its log-probability and the alternatives seen."""

    token: str
    #: None: the provider did not say, or said no number.
    logprob: float | None
    top: tuple[tuple[str, float | None], ...] = ()


class Attempt(Frozen):
    """One call, its price, its answer, what the checks said and what followed."""

    item: int
    step: str
    #: 0, 1, 2, ... over all tiers: with job, item and step the key of everything paid.
    n: int
    #: `answer`, or what else was paid for this subtask: `tool_round`, `sample`, `verify`, `audit`, `refer`.
    purpose: str = "answer"
    tier: str
    model: str
    started_at: datetime
    latency_s: float
    usage: Usage = Usage()
    cost_usd: float | None = None
    #: Where the price came from, such as `profile` or `litellm 1.110`.
    price_source: str | None = None
    #: The service tier that it was answered on, which its price goes by.
    service_tier: Lane | None = None
    finish_reason: str | None = None
    structured: str | None = None
    #: The raw text of the answer.
    text: str | None = None
    value: Json = None
    error: ErrorKind | None = None
    #: One sentence for people: what was wrong.
    detail: str | None = None
    checks: tuple[CheckResult, ...] = ()
    confidence: Confidence | None = None
    #: Kind of the verdict on this answer.
    verdict: str = ""
    reason: str = ""
    skill: str = ""
    skill_version: int | None = None
    skill_digest: str | None = None
    effort: str | None = None
    #: Served from the response cache: nothing was paid.
    from_cache: bool = False
    #: What the answer cost when it was paid for, where it came from the response cache; None: unknown, or not from it.
    saved_usd: float | None = None
