"""How likely the model itself found the tokens of its answer's values."""

import math
from collections.abc import Sequence

from firstline.schemas.attempt import TokenLogprob
from firstline.workers.confidence.spans import leaves, matching, place, within
from firstline.workers.providers.structured_output import WRAP


def mean_logprob(tokens: Sequence[TokenLogprob], field: str | None = None, *, plain: bool = False) -> float | None:
    """Return the geometric mean probability of the value tokens, 0..1; None without log-probabilities or values."""
    found = value_logprobs(tokens, field, plain=plain)
    return math.exp(sum(found) / len(found)) if found else None


def min_logprob(tokens: Sequence[TokenLogprob], field: str | None = None, *, plain: bool = False) -> float | None:
    """Return the probability of the least likely value token, 0..1; None without log-probabilities or values."""
    found = value_logprobs(tokens, field, plain=plain)
    return math.exp(min(found)) if found else None


def value_logprobs(
    tokens: Sequence[TokenLogprob], field: str | None = None, *, plain: bool = False
) -> tuple[float, ...]:
    """Return the log-probabilities of the tokens that make up the answer's values (of `field`), never above 0.

    Keys, quotation marks and brackets follow from the schema and would only water the mean down. Empty when one of
    them is not a number: half a signal is none. A plain answer is one value, whatever marks stand in it.
    """
    placed = place(tokens)
    spans = matching(leaves("".join(token.token for token in tokens), plain=plain), field, WRAP)
    chosen = {token.start: token.token.logprob for span in spans for token in within(placed, span)}
    found = tuple(min(0.0, logprob) for logprob in chosen.values())
    return () if any(map(math.isnan, chosen.values())) else found
