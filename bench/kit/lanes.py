"""What one job costs at each provider's list prices: at once, on a slow lane, in a batch, with its cache or without."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from firstline.config.providers.prices import Terms, price_of
from firstline.config.providers.prompt_caches import cache_of
from firstline.schemas.attempt import Usage
from firstline.schemas.tier import CacheMarks, Lane, Model
from firstline.workers.execution.batch_prefixes import HITS
from firstline.workers.rules.pricing import dollars
from firstline.workers.rules.prompt_cache import Prefix, plan

#: Models of the providers' lists, a cheap and a strong one each.
MODELS = (
    "openai/gpt-6-luna",
    "openai/gpt-6.1-sol",
    "anthropic/claude-haiku-5-5",
    "anthropic/claude-sonnet-5-5",
    "bedrock/us.anthropic.claude-sonnet-5-5",
    "gemini/gemini-3.5-flash-lite",
    "gemini/gemini-3.1-pro-preview",
    "deepseek/deepseek-v4-flash",
    "mistral/mistral-small-latest",
)
LANES = (Lane.STANDARD, Lane.FLEX, Lane.BATCH)
#: A weekday's morning in UTC: some prices are lower at night and on other days.
AT = datetime(2026, 11, 30, 3, tzinfo=UTC)
_UNKNOWN = "–"  # noqa: RUF001 # as everywhere


@dataclass(frozen=True, slots=True)
class Work:
    """A job: so many prompts, what is the same in all of them, what is an item's own, and an answer."""

    calls: int = 1000
    static: int = 4000
    own: int = 300
    answer: int = 100


@dataclass(frozen=True, slots=True)
class CacheUse:
    """What a provider's cache does for a job: calls that write the static part at a price, and that read it."""

    written: int = 0
    read: int = 0


def cache_use(model: str, work: Work, lane: Lane) -> CacheUse:
    """Return what the cache does where the rule that workers go by decides: one call goes ahead of all others.

    In a batch it is found as seldom as it may be.
    """
    made, hits = Model(name=model), HITS if lane is Lane.BATCH else 1.0
    cache, price = cache_of(made), price_of(made, _terms(work.static, lane))
    if cache is None or work.static < cache.min_tokens:
        return CacheUse()
    found = round(hits * (work.calls - 1))
    if cache.marks is CacheMarks.AUTOMATIC:
        return CacheUse(read=found)
    marked = plan(cache, price, Prefix(work.static, work.calls - 1, hits=hits)).mark
    return CacheUse(written=work.calls - found, read=found) if marked else CacheUse()


def cost_usd(model: str, work: Work, lane: Lane, *, cache: bool) -> float | None:
    """Return the dollars of a job, writes to the cache counted; None where the lane has no listed price."""
    sent = work.static + work.own
    price = price_of(Model(name=model), _terms(sent, lane))
    if price is None:
        return None
    use = cache_use(model, work, lane) if cache else CacheUse()
    plain = work.calls - use.written - use.read
    kinds = (
        (use.written, {"cache_write_tokens": work.static}),
        (use.read, {"cached_tokens": work.static}),
        (plain, {}),
    )
    bills = [
        count * cost
        for count, kind in kinds
        if count and (cost := dollars(Usage(input_tokens=sent, output_tokens=work.answer, **kind), price)) is not None
    ]
    return sum(bills) if len(bills) == sum(count > 0 for count, _ in kinds) else None


def _terms(prompt_tokens: int, lane: Lane) -> Terms:
    return Terms(prompt_tokens=prompt_tokens, lane=lane, asked=lane, at=AT)


def saved(model: str, works: Sequence[Work], lane: Lane = Lane.STANDARD) -> tuple[float, float] | None:
    """Return the dollars that the cache saves of jobs, and what they cost without it; None where nobody knows."""
    pairs = [(cost_usd(model, work, lane, cache=False), cost_usd(model, work, lane, cache=True)) for work in works]
    known = [(without, with_cache) for without, with_cache in pairs if without is not None and with_cache is not None]
    if len(known) < len(pairs):
        return None
    return sum(without - with_cache for without, with_cache in known), sum(without for without, _ in known)


def table(work: Work) -> Iterator[str]:
    """Yield the lines of the table of lanes and cache."""
    names = ["now" if lane is Lane.STANDARD else lane.value for lane in LANES]
    heads = [f"{name}{' + cache' if cache else ''}" for name in names for cache in (False, True)]
    prompt = f"{work.static:,} tokens that are the same, {work.own:,} of their own, {work.answer:,} answered"
    yield f"{work.calls:,} calls of {prompt}; in a batch {HITS:.0%} of them find the cache:"
    yield f"{'':40}" + "".join(f"{head:>18}" for head in heads)
    for model in MODELS:
        costs = (cost_usd(model, work, lane, cache=cache) for lane in LANES for cache in (False, True))
        yield f"{model:40}" + "".join(f"{_UNKNOWN if cost is None else f'${cost:,.4f}':>18}" for cost in costs)


def savings(jobs: dict[str, Sequence[Work]]) -> Iterator[str]:
    """Yield the lines of what the cache saves of each job, write prices counted, and of how much, by model."""
    width = max(map(len, jobs)) + 2
    yield "saved by the cache, of what it costs without:"
    yield f"{'':{width}}" + "".join(f"{model.rpartition('/')[2]:>28}" for model in SAVED_ON)
    for name, works in jobs.items():
        cells = (_cell(saved(model, works)) for model in SAVED_ON)
        yield f"{name:{width}}" + "".join(f"{cell:>28}" for cell in cells)


#: One model of each provider whose cache works in its own way.
SAVED_ON = (
    "openai/gpt-6.1-sol",
    "anthropic/claude-sonnet-5-5",
    "gemini/gemini-3.1-pro-preview",
    "deepseek/deepseek-v4-flash",
)


def _cell(found: tuple[float, float] | None) -> str:
    return _UNKNOWN if found is None else f"${found[0]:,.4f} of ${found[1]:,.4f}"
