"""How likely the model itself found the tokens of its answer's values."""

import math

from firstline.workers.confidence.spans import AnswerTokens


def mean_logprob(answer: AnswerTokens | None, field: str | None = None) -> float | None:
    """Return the geometric mean probability of the value tokens, 0..1; None without log-probabilities or values."""
    found = value_logprobs(answer, field)
    return math.exp(sum(found) / len(found)) if found else None


def min_logprob(answer: AnswerTokens | None, field: str | None = None) -> float | None:
    """Return the probability of the least likely value token, 0..1; None without log-probabilities or values."""
    found = value_logprobs(answer, field)
    return math.exp(min(found)) if found else None


def value_logprobs(answer: AnswerTokens | None, field: str | None = None) -> tuple[float, ...]:
    """Return the log-probabilities of the tokens that make up the answer's values (of `field`), never above 0.

    Keys, quotation marks and brackets follow from the schema and would only water the mean down. Empty when one of
    them is unknown: half a signal is none.
    """
    if answer is None:
        return ()
    chosen = {
        token.start: token.token.logprob
        for leaf in answer.matching(field)
        for token in answer.within(leaf.start, leaf.end)
    }
    known = [logprob for logprob in chosen.values() if logprob is not None and not math.isnan(logprob)]
    return tuple(min(0.0, logprob) for logprob in known) if len(known) == len(chosen) else ()
