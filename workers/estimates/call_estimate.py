"""What a call will take, before it is made: tokens by rule of thumb and by what calls like it took."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

from pydantic_core import to_json

from firstline.schemas.attempt import Usage
from firstline.schemas.tier import Model
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.rules.pricing import reckoned

#: A token is about four characters of Latin text and its markup.
CHARS_PER_TOKEN = 4
#: Characters that are a token each (Chinese, Japanese, Korean), or half a one (other scripts than Latin), by the
#: vocabularies of 2024 to 2026; pictures take two.
_WHOLE = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)
_HALF = re.compile("[\u0370-\u10ff\u1200-\u1cff\u2d00-\u2dff\ua000-\ua95f\ua980-\uabff\ufb00-\ufdff\ufe70-\ufeff]")
_PICTURE = re.compile("[\u2600-\u27bf\U0001f000-\U0001faff]")
_TOKENS_PER_MESSAGE = 4
#: Output tokens of an answer when nothing is known of it.
_UNKNOWN_OUTPUT = 256
#: Weight of a new observation once there are many: about the last twenty count.
_LEAST_WEIGHT = 0.05
#: Providers that count the tokens an answer has, not those it was allowed to have, against tokens per minute.
_COUNT_WHAT_IS_USED = ("anthropic/", "bedrock/anthropic")

#: Returns the dollars of a usage, or None where there is no price.
Price = Callable[[Usage, Model], float | None]
#: Parameters that bound the length of an answer, and those that ask for more than one.
_LENGTHS = ("max_completion_tokens", "max_tokens", "max_output_tokens", "maxOutputTokens", "max_tokens_to_sample")
_COUNTS = ("n", "best_of")


@dataclass(frozen=True, slots=True)
class Estimate:
    """What to reserve for a call."""

    #: Tokens that the provider will count against tokens per minute.
    tokens: int
    #: None: the model has no known price.
    cost_usd: float | None
    #: The provider counts them in full when it takes the call (prompt and `max_tokens`), whatever is used.
    firm: bool = False

    def at_least(self, cost_usd: float) -> Self:
        """Return the estimate with that many dollars, where it has fewer."""
        return self if self.cost_usd is None or self.cost_usd >= cost_usd else replace(self, cost_usd=cost_usd)


def estimate(call: Call, *, price: Price = reckoned, ratio: float = 1.0, output: float | None = None) -> Estimate:
    """Return what to reserve for a call.

    `ratio`: tokens of its prompt by the rule of thumb to real ones; `output`: tokens of an answer like it, for which
    `max_tokens` stands where it is unknown, or else a guess.
    """
    tokens_in, bound = round(prompt_tokens(call) * ratio), max_tokens(call)
    tokens_out = _expected(output, bound, answers(call))
    # A cap is held whatever the answers are: where their length is bounded, money is reserved for all of it.
    paid_out = tokens_out if bound is None else bound
    # What is marked for the provider's cache may be written to it, which costs more than to send it.
    written = min(tokens_in, round(prompt_tokens(static_part(call)) * ratio)) if call.cached else None
    is_firm = bound is not None and not call.model.name.startswith(_COUNT_WHAT_IS_USED)
    return Estimate(
        tokens=tokens_in + (bound if bound is not None and is_firm else tokens_out),
        cost_usd=price(Usage(input_tokens=tokens_in, output_tokens=paid_out, cache_write_tokens=written), call.model),
        firm=is_firm,
    )


def _expected(output: float | None, bound: int | None, count: int) -> int:
    if output is None:
        return bound if bound is not None else _UNKNOWN_OUTPUT * count
    return round(output) if bound is None else min(round(output), bound)


@dataclass(slots=True)
class _Mean:
    value: float = 0.0
    seen: int = 0

    def add(self, observed: float) -> None:
        self.seen += 1
        self.value += (observed - self.value) * max(1 / self.seen, _LEAST_WEIGHT)


@dataclass
class Estimator:
    """Estimates calls, and learns from their replies how many tokens prompts and answers really have.

    Tokens per character are learned per model, output tokens per model, skill and reasoning effort; `max_tokens` bounds
    the output, and stands for it until a first answer is known.
    """

    price: Price = reckoned
    _input_ratio: dict[str, _Mean] = field(default_factory=dict)
    _output: dict[tuple[str, str, str], _Mean] = field(default_factory=dict)

    def estimate(self, call: Call) -> Estimate:
        """Return what to reserve for a call, by what is known of calls like it."""
        ratio, output = self._input_ratio.get(call.model.name), self._output.get(_kind(call))
        return estimate(
            call, price=self.price, ratio=ratio.value if ratio else 1.0, output=output.value if output else None
        )

    def learn(self, call: Call, reply: Reply) -> None:
        """Take the usage of a reply into account."""
        usage = reply.usage
        if reply.calls != 1 or not usage.input_tokens or usage.output_tokens is None:
            return
        guessed = max(1, prompt_tokens(call))
        self._input_ratio.setdefault(call.model.name, _Mean()).add(usage.input_tokens / guessed)
        self._output.setdefault(_kind(call), _Mean()).add(usage.output_tokens)


def prompt_tokens(call: Call) -> int:
    """Return the tokens of a call's messages, schema and tools by rule of thumb."""
    parts = [_text(message.get("content")) for message in call.messages]
    parts += [_text(part) for part in (call.schema, call.tools or None)]
    return round(sum(map(text_tokens, parts))) + _TOKENS_PER_MESSAGE * len(call.messages)


def static_part(call: Call) -> Call:
    """Return the part of a call that is the same for all items: its first messages, with schema and tools."""
    return replace(call, messages=call.messages[: call.static])


def text_tokens(text: str) -> float:
    """Return the tokens of a text by its scripts: a Chinese character is about one, four Latin letters are."""
    if text.isascii():
        return len(text) / CHARS_PER_TOKEN
    whole, half, pictures = (len(text) - len(kind.sub("", text)) for kind in (_WHOLE, _HALF, _PICTURE))
    return whole + half / 2 + 2 * pictures + (len(text) - whole - half - pictures) / CHARS_PER_TOKEN


def max_tokens(call: Call) -> int | None:
    """Return the bound on output tokens that a call sets, or None.

    Providers differ in which parameter they follow where several say it, so the largest counts, for each answer asked.
    """
    params = {**call.model.params, **call.params}
    thinking = params.get("thinking")
    bounds = [params.get(name) for name in _LENGTHS]
    bounds += [thinking.get("budget_tokens")] if isinstance(thinking, dict) else []
    known = [bound for bound in bounds if isinstance(bound, int)]
    return max(known) * answers(call) if known else None


def answers(call: Call) -> int:
    """Return how many answers a call asks for, each of which is paid."""
    params = {**call.model.params, **call.params}
    return max((count for name in _COUNTS if isinstance(count := params.get(name), int)), default=1)


def _text(content: object) -> str:
    return content if isinstance(content, str) else to_json(content).decode() if content is not None else ""


def _kind(call: Call) -> tuple[str, str, str]:
    return call.model.name, call.schema_name, str(call.params.get("reasoning_effort", ""))
