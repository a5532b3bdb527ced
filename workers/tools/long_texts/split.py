"""Cuts a text into parts that a model can read, at the best places there are; each knows where it stands."""

from bisect import bisect_left
from itertools import accumulate, pairwise

from pydantic import Field

from firstline.schemas.base import Frozen, Json
from firstline.schemas.plan import MOST_ELEMENTS
from firstline.schemas.tool import ToolResult
from firstline.workers.tools.base import Kind, Place, failed
from firstline.workers.tools.long_texts.boundaries import Level, boundaries
from firstline.workers.tools.long_texts.vocabulary import counter_of

_MOST_CHARS = 5_000_000
#: A boundary is never further from the next than this share of a part, in characters: no token has more than a few.
_APART = 8


class SplitOptions(Frozen):
    """How long the parts are, and for whom."""

    #: Tokens of a part, at most.
    tokens: int = Field(default=2000, ge=50, le=1_000_000)
    #: Tokens at the end of a part that the next one begins with, at most.
    overlap: int = Field(default=0, ge=0)
    #: The model that reads them, as litellm names it: tokens are counted by its vocabulary, where that is known.
    model: str = Field(default="", max_length=200)
    #: The `tokenizer.json` of that model, where its vocabulary is not known.
    tokenizer: str = ""


class SplitArguments(Frozen):
    """The text to cut."""

    text: str = Field(max_length=_MOST_CHARS)


def split(arguments: SplitArguments, options: SplitOptions, place: Place) -> ToolResult:
    """Return the parts in order: `n` from 1, `text`, `start` and `end` in the whole text, and the `heading` above it.

    `text[start:end]` is the part, to the character; without an overlap the parts are the whole text. A part ends before
    a heading where one stands in its second half, else before a paragraph, a sentence, a word.
    """
    if options.overlap * 2 >= options.tokens:
        return failed(f"expected an overlap below half of tokens ({options.tokens}), got {options.overlap}")
    text = arguments.text
    places, headings = boundaries(text, apart=max(1, options.tokens // _APART))
    cut = _Cut(text, places, options, str(place.path(options.tokenizer)) if options.tokenizer else "")
    parts: list[Json] = []
    for start, end in cut.spans():
        if len(parts) == MOST_ELEMENTS:
            return failed(
                f"the text has more than {MOST_ELEMENTS} parts of {options.tokens} tokens; raise the option `tokens`"
            )
        above = max((at for at in headings if at <= start), default=None)
        heading = headings[above] if above is not None else None
        parts.append({"n": len(parts) + 1, "text": text[start:end], "start": start, "end": end, "heading": heading})
    return ToolResult(value=parts)


class _Cut:
    """A text with the tokens up to each of its boundaries."""

    def __init__(self, text: str, places: list[tuple[int, Level]], options: SplitOptions, tokenizer: str) -> None:
        self._text = text
        self._at = [at for at, _ in places]
        self._levels = [level for _, level in places]
        self._options = options
        self._count = counter_of(options.model, tokenizer)
        between = self._count([text[begin:end] for begin, end in pairwise(self._at)])
        self._upto = [0, *accumulate(between)]

    def spans(self) -> list[tuple[int, int]]:
        """Return start and end of each part that has something in it."""
        found, begin = [], 0
        while begin < len(self._at) - 1:
            end = self._end(begin)
            if self._text[self._at[begin] : self._at[end]].strip():
                found.append((self._at[begin], self._at[end]))
            begin = self._back(begin, end) if end < len(self._at) - 1 else end
        return found

    def _end(self, begin: int) -> int:
        """Return the boundary that a part which begins at one is to end at."""
        room = self._upto[begin] + self._options.tokens
        last = max(begin + 1, bisect_left(self._upto, room + 1) - 1)
        # Tokens are counted between boundaries; over several of them there may be one more.
        while last > begin + 1 and self._tokens(begin, last) > self._options.tokens:
            last -= 1
        if last == len(self._at) - 1:
            return last
        half = bisect_left(self._upto, self._upto[begin] + self._options.tokens // 2, lo=begin + 1)
        return max(range(min(half, last), last + 1), key=lambda place: (self._levels[place], place))

    def _back(self, begin: int, end: int) -> int:
        """Return where the part behind one begins."""
        first = bisect_left(self._upto, self._upto[end] - self._options.overlap)
        near = range(max(first, begin + 1), end)
        wanted = (Level.SENTENCE, Level.WORD)
        return next((at for level in wanted for at in near if self._levels[at] >= level), end)

    def _tokens(self, begin: int, end: int) -> int:
        return self._count([self._text[self._at[begin] : self._at[end]]])[0]


SPLIT = Kind(
    name="split",
    description="Cut a long text into parts that a model can read.",
    arguments=SplitArguments,
    options=SplitOptions,
    call=split,
    bounds_itself=True,
    # All of the text, once more for an overlap, and what is said of each part.
    result_chars=3 * _MOST_CHARS,
)
