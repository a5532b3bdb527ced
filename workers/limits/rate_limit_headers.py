"""What a provider's rate-limit headers say is allowed and left."""

from collections.abc import Mapping
from dataclasses import dataclass

#: How providers name one figure, in the order in which they are looked for: OpenAI and those who copy it (Groq, Azure,
#: DeepSeek, Mistral, OpenRouter), then Anthropic.
_NAMES = ("x-ratelimit-{figure}-{unit}", "anthropic-ratelimit-{unit}-{figure}")
#: litellm puts this before the headers of the provider itself.
_PREFIX = "llm_provider-"


@dataclass(frozen=True, slots=True)
class Headroom:
    """Allowance and rest, in requests and tokens; None where the provider did not say."""

    requests_limit: float | None = None
    requests_left: float | None = None
    tokens_limit: float | None = None
    tokens_left: float | None = None


_UNKNOWN = Headroom()


def headroom(headers: Mapping[str, str]) -> Headroom:
    """Read rate-limit headers (lower-cased names); what is missing or no number counts as unknown."""
    if not headers:
        return _UNKNOWN
    bare = {name.removeprefix(_PREFIX): value for name, value in headers.items()}
    return Headroom(
        requests_limit=_figure(bare, "limit", "requests"),
        requests_left=_figure(bare, "remaining", "requests"),
        tokens_limit=_figure(bare, "limit", "tokens"),
        tokens_left=_figure(bare, "remaining", "tokens"),
    )


def _figure(headers: Mapping[str, str], figure: str, unit: str) -> float | None:
    for name in _NAMES:
        text = headers.get(name.format(figure=figure, unit=unit))
        if text is not None:
            return _number(text)
    return None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
