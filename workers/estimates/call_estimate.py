"""What a call will take, before it is made: tokens by rule of thumb and by what calls like it took."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
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
#: Tokens that no answer has.
_ENDLESS = 10**9
#: Weight of a new observation once there are many: about the last twenty count.
_LEAST_WEIGHT = 0.05
#: Providers that count the tokens an answer has, not those it was allowed to have, against tokens per minute.
_COUNT_WHAT_IS_USED = ("anthropic/", "bedrock/anthropic")

#: Returns the dollars of a usage, or None where there is no price.
Price = Callable[[Usage, Model], float | None]
#: Parameters that bound the length of an answer or of the thoughts before it, and those that ask for more than one, by
#: any provider's name: without capitals and underscores, wherever they stand (`extra_body`, `options`, `thinking`).
_LENGTHS = frozenset(
    ("maxtokens", "maxcompletiontokens", "maxoutputtokens", "maxnewtokens", "maxtokenstosample", "maxgenlen")
) | {"maxtokencount", "numpredict", "npredict", "budgettokens", "thinkingbudget", "thinkingtokenbudget"}
_COUNTS = frozenset(("n", "bestof", "candidatecount", "numreturnsequences", "numgenerations"))
#: Parameters that hold schemas and words, in which such names mean something else.
_OTHER_WORDS = frozenset(
    ("functions", "logit_bias", "metadata", "prediction", "response_format", "tool_choice", "tools")
)


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
    parts = [_text(part) for message in call.messages for name, part in message.items() if name != "role"]
    # What is handed on as it came has its form and its functions among the parameters.
    forms = (call.params.get("response_format") if call.schema is None else None, call.params.get("functions"))
    parts += [_text(part) for part in (call.schema, call.tools or None, *forms)]
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

    Providers differ in which parameter they follow where several say it, so the largest counts, for each answer asked;
    what was foretold of an answer and is not in it is paid as well.
    """
    params = {**call.model.params, **call.params}
    bounds = list(_said(params, _LENGTHS))
    return (max(bounds) + _foretold(params)) * answers(call) if bounds else None


def answers(call: Call) -> int:
    """Return how many answers a call asks for, each of which is paid."""
    return max(_said({**call.model.params, **call.params}, _COUNTS), default=1)


def _said(params: Mapping[str, object], names: frozenset[str]) -> Iterator[int]:
    """Yield what parameters of these names say, at any depth; less than one is no bound."""
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from _said(value, names) if name not in _OTHER_WORDS else ()
        elif name.replace("_", "").replace("-", "").lower() in names and isinstance(value, int | float) and value >= 1:
            yield math.ceil(min(value, _ENDLESS))


def _foretold(params: Mapping[str, object]) -> int:
    prediction = params.get("prediction")
    return math.ceil(text_tokens(_text(prediction.get("content")))) if isinstance(prediction, Mapping) else 0


def _text(content: object) -> str:
    return content if isinstance(content, str) else to_json(content).decode() if content is not None else ""


def _kind(call: Call) -> tuple[str, str, str]:
    return call.model.name, call.schema_name, str(call.params.get("reasoning_effort", ""))
