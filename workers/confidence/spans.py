"""Where the values of an answer stand in the text that holds it, and which tokens they are made of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from firstline.schemas.attempt import TokenLogprob
from firstline.workers.providers.gateway import AnswerSpan, Reply
from firstline.workers.rules.json_text import Leaf, Unreadable, read_value


@dataclass(frozen=True, slots=True)
class PlacedToken:
    """A token and where it stands in the text of all tokens."""

    token: TokenLogprob
    start: int

    @property
    def end(self) -> int:
        """Where the next token begins."""
        return self.start + len(self.token.token)


@dataclass(frozen=True, slots=True)
class AnswerTokens:
    """A text, the tokens that it is made of, and the values of the answer in it."""

    text: str
    tokens: tuple[PlacedToken, ...]
    leaves: tuple[Leaf, ...]

    def within(self, start: int, end: int) -> tuple[PlacedToken, ...]:
        """Return the tokens that hold a part of `text[start:end]`; of an empty one, the token that ends it."""
        last = max(end, start + 1)
        return tuple(token for token in self.tokens if token.start < last and token.end > start)

    def matching(self, field: str | None) -> Iterator[Leaf]:
        """Yield the values at or below a field; list positions need not be named."""
        wanted = tuple(field.split(".")) if field else ()
        for leaf in self.leaves:
            unnumbered = tuple(part for part in leaf.path if not part.isdecimal())
            if any(path[: len(wanted)] == wanted for path in (leaf.path, unnumbered)):
                yield leaf


def answer_tokens(reply: Reply, *, plain: bool = False) -> AnswerTokens | None:
    """Return the tokens of the answer that a reply's value was read from; None where they are not the text's own.

    A plain answer is one value, whatever marks stand in it.
    """
    if reply.span is None or reply.text is None or (tokens := place(reply.logprobs, reply.text)) is None:
        return None
    return AnswerTokens(reply.text, tokens, leaves(reply.text, reply.span, plain=plain))


def place(tokens: Sequence[TokenLogprob], text: str) -> tuple[PlacedToken, ...] | None:
    """Return the tokens with their places in a text; None unless they make it up, spaces around it apart."""
    said = "".join(token.token for token in tokens)
    if not said or said.strip() != text.strip():
        return None
    begin = (len(text) - len(text.lstrip())) - (len(said) - len(said.lstrip()))
    starts = accumulate((len(token.token) for token in tokens), initial=begin)
    return tuple(PlacedToken(token, start) for token, start in zip(tokens, starts, strict=False))


def leaves(text: str, span: AnswerSpan, *, plain: bool = False) -> tuple[Leaf, ...]:
    """Return the values (texts, numbers, true, false, null) of the answer at a span.

    A plain text, or one that is no JSON, is one value itself.
    """
    whole = (Leaf((), span.start, span.end),)
    if plain:
        return whole
    try:
        found = read_value(text, span.start, leaves=True)
    except Unreadable:
        return whole
    if found.end != span.end:
        return whole
    depth = len(span.inside)
    return tuple(
        Leaf(leaf.path[depth:], leaf.start, leaf.end, leaf.quoted)
        for leaf in found.leaves
        if leaf.path[:depth] == span.inside
    )
