"""What a provider says that it bills for one answer: tokens of every kind, the lane, the place, its own figure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from firstline.config.providers.prices import Terms, asked_lane, lane_named
from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.tier import Lane, Model
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.rules.pricing import REFUSED, Cost, cost

#: Routers and others whose answers say what they cost in dollars: that is what stands on the bill.
_STATE_COSTS = frozenset({"deepinfra", "openrouter", "perplexity", "xai"})

#: Providers that do not count thoughts apart: what stands there is an estimate of litellm's.
_COUNT_NO_THOUGHTS = frozenset({"bedrock"})

#: Tokens that no call has: ten times the longest context of today.
MOST_TOKENS = 100_000_000
#: Dollars that no call costs.
MOST_USD = 100_000


#: Kinds of error by which a provider turns a call away.
_TURNED_AWAY = frozenset(
    {
        ErrorKind.AUTH,
        ErrorKind.NO_KEY,
        ErrorKind.QUOTA,
        ErrorKind.RATE,
        ErrorKind.LANE,
        ErrorKind.NOT_FOUND,
        ErrorKind.CONTEXT_LENGTH,
    }
)
#: What httpx and aiohttp raise when an error came back instead of an answer, or nobody was reached.
_BEFORE_ANY_WORK = frozenset(
    {"HTTPStatusError", "ConnectError", "ConnectTimeout", "PoolTimeout", "ClientConnectorError"}
)
#: What is raised where an answer is read that has another shape than was foreseen.
_WHILE_READING = (ValueError, TypeError, KeyError, AttributeError, IndexError)


@dataclass(frozen=True, slots=True)
class Bill:
    """What one answer is billed by."""

    usage: Usage
    #: As it was served; None: the provider does not say.
    lane: Lane | None = None
    geo: str | None = None
    served: str | None = None
    #: Dollars by the provider's own figure.
    stated_usd: float | None = None


def read_bill(response: Any, provider: str) -> Bill:
    """Return what a response of litellm's shape is billed by; `provider` as its model's name begins."""
    usage = _field(response, "usage")
    geo, served = _field(usage, "inference_geo"), _field(response, "model")
    counts = read_usage(response)
    return Bill(
        usage=counts.evolve(reasoning_tokens=None) if provider in _COUNT_NO_THOUGHTS else counts,
        lane=_lane(response, usage),
        geo=geo if isinstance(geo, str) else None,
        served=served if isinstance(served, str) else None,
        stated_usd=_stated(usage) if provider in _STATE_COSTS else None,
    )


def cost_of(bill: Bill, model: Model, *, lane: Lane | None = None, unsaid: Lane | None = None) -> Cost:
    """Return what an answer cost; a figure of the provider's own is the truth.

    `lane`: it is known (a batch); `unsaid`: the one that it was asked on, which counts where the provider says none.
    """
    if bill.stated_usd is not None:
        return Cost(bill.stated_usd, "stated by the provider")
    if bill.usage.input_tokens is None or bill.usage.output_tokens is None:
        return Cost()
    terms = Terms(
        prompt_tokens=bill.usage.input_tokens,
        lane=lane or bill.lane or unsaid,
        asked=lane,
        geo=bill.geo,
        served=bill.served,
    )
    return cost(bill.usage, model, terms)


def booked(reply: Reply, response: Any, model: Model, *, lane: Lane | None = None, unsaid: Lane | None = None) -> Reply:
    """Return a reply with what its response is billed by and what it cost; the lanes as for `cost_of`."""
    bill = read_bill(response, model.name.partition("/")[0])
    if _is_absurd(bill):
        counted = f"{MOST_TOKENS:,} tokens or ${MOST_USD:,}"
        absurd = f"the provider counted more than {counted} for one call, so its bill cannot be believed"
        return replace(reply, error=ErrorKind.SERVER, detail=absurd)
    price = cost_of(bill, model, lane=lane, unsaid=unsaid)
    served = lane or bill.lane or unsaid or asked_lane(model)
    return replace(reply, usage=bill.usage, cost_usd=price.usd, price_source=price.source, lane=served)


def asked_on(call: Call) -> Lane | None:
    """Return the lane that a call's own parameters ask for."""
    return lane_named(call.params.get("service_tier"))


def _is_absurd(bill: Bill) -> bool:
    """Whether a figure is more than any model takes or gives in one call: nothing can be reckoned from such a bill."""
    counts = bill.usage.model_dump().values()
    return (bill.stated_usd or 0) > MOST_USD or any(isinstance(count, int) and count > MOST_TOKENS for count in counts)


def free(reply: Reply) -> Reply:
    """Return the reply of a call that cost nothing."""
    return replace(reply, cost_usd=REFUSED.usd, price_source=REFUSED.source)


def was_refused(error: BaseException, kind: ErrorKind) -> bool:
    """Say whether a call failed before it could cost anything.

    It did where an HTTP error came back, or no connection was made. What was answered and broke off, or cannot be
    read, may be billed, whatever status litellm makes up for it: nobody knows how much.
    """
    causes = list(_causes(error))
    if kind in _TURNED_AWAY or any(type(cause).__name__ in _BEFORE_ANY_WORK for cause in causes):
        return True
    return kind is ErrorKind.BAD_REQUEST and not any(isinstance(cause, _WHILE_READING) for cause in causes)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came of, each once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def read_usage(response: Any) -> Usage:
    """Return the token counts; zeros where there must have been tokens are a provider's way of not saying."""
    usage = _field(response, "usage")
    sent, got = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if not sent:
        return Usage(output_tokens=got or None)
    into, out = _field(usage, "prompt_tokens_details"), _field(usage, "completion_tokens_details")
    cached = _field(into, "cached_tokens_details")
    written, long = _writes(into)
    return Usage(
        input_tokens=sent,
        cached_tokens=_count(into, "cached_tokens"),
        cache_write_tokens=written,
        cache_write_long_tokens=long,
        audio_input_tokens=_less(_count(into, "audio_tokens"), _count(cached, "audio_tokens")),
        image_input_tokens=_less(_count(into, "image_tokens"), _count(cached, "image_tokens")),
        output_tokens=got,
        reasoning_tokens=_count(out, "reasoning_tokens"),
        audio_output_tokens=_count(out, "audio_tokens"),
        image_output_tokens=_count(out, "image_tokens"),
        searches=_count(_field(usage, "server_tool_use"), "web_search_requests") or _count(into, "web_search_requests"),
    )


def _writes(into: Any) -> tuple[int | None, int | None]:
    """Return the tokens written to a cache, and the part of them that it keeps longer than usual."""
    written = _count(into, "cache_write_tokens") or _count(into, "cache_creation_tokens")
    kinds = _field(into, "cache_creation_token_details")
    by_life = {life: _count(kinds, f"ephemeral_{life}_input_tokens") or 0 for life in ("5m", "30m", "1h", "12h")}
    if written is None and not any(by_life.values()):
        return None, None
    return max(written or 0, sum(by_life.values())), by_life["1h"] + by_life["12h"]


def _lane(response: Any, usage: Any) -> Lane | None:
    if _field(usage, "speed") == "fast":
        return Lane.FAST
    hidden = _field(response, "_hidden_params") or {}
    special = _field(hidden, "provider_specific_fields") or {}
    words = (_field(response, "service_tier"), _field(usage, "service_tier"), _field(special, "traffic_type"))
    return next((lane for word in words if word is not None and (lane := lane_named(word)) is not None), None)


def _stated(usage: Any) -> float | None:
    """Return the dollars that a provider says the answer cost; with one's own key, the maker's part too."""
    stated = _field(usage, "cost")
    if isinstance(stated, Mapping):
        stated = stated.get("total_cost")
    if stated is None:
        stated = _field(usage, "estimated_cost")
    if (dollars := _dollars(stated)) is None:
        return None
    upstream = _dollars(_field(_field(usage, "cost_details"), "upstream_inference_cost"))
    return dollars + (upstream or 0.0 if _field(usage, "is_byok") is True else 0.0)


def _dollars(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
        return None
    return float(min(value, 2 * MOST_USD))


def _less(count: int | None, part: int | None) -> int | None:
    return None if count is None else max(0, count - (part or 0))


def _count(holder: Any, name: str) -> int | None:
    """Return a number of tokens, whole ones written as `100.0` too."""
    value = _field(holder, name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
        return None
    # More than any call has is told, not how much more: a float has no room for 400 digits.
    counted = min(value, 2 * MOST_TOKENS)
    return int(counted) if float(counted).is_integer() else None


def _field(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
