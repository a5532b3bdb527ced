"""Texts as sparse vectors of hashed word and character n-grams: no vocabulary to keep, the same in every process."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from zlib import crc32

import numpy as np
from scipy.sparse import csr_matrix

_HALF = 1 << 15
#: Length of a vector: one half for word n-grams, the other for character n-grams.
FEATURES = 2 * _HALF
_WORD = re.compile(r"\w+|[^\w\s]")
#: Of a longer text only the beginning counts, so that a student's answer takes a bounded time.
_MOST_CHARACTERS = 20_000


def text_features(texts: Sequence[str]) -> csr_matrix:
    """Return one row a text, (len(texts), FEATURES); a row has unit length, half of it from each kind of n-grams.

    Counts are damped (1 + log) and not weighed by how rare an n-gram is, so that a vector depends on its text alone.
    """
    columns: list[int] = []
    values: list[float] = []
    ends = [0]
    for text in texts:
        words = _WORD.findall(text[:_MOST_CHARACTERS].lower())
        for counted in (_words(words), _characters(words)):
            if counted:
                weights = 1 + np.log(np.fromiter(counted.values(), dtype=np.float64, count=len(counted)))
                columns.extend(counted)
                values.extend((weights / np.sqrt(2 * (weights @ weights))).tolist())
        ends.append(len(columns))
    indices, starts = np.array(columns, dtype=np.int32), np.array(ends, dtype=np.int32)
    return csr_matrix((np.array(values), indices, starts), shape=(len(texts), FEATURES))


def _words(words: Sequence[str]) -> Counter[int]:
    pairs = [f"{first} {second}" for first, second in pairwise(words)]
    return Counter(crc32(gram.encode("utf-8", "replace")) & (_HALF - 1) for gram in (*words, *pairs))


def _characters(words: Sequence[str]) -> Counter[int]:
    grams: list[str] = []
    for word in words:
        padded = f" {word} "
        for size in (3, 4):
            grams += [padded[at : at + size] for at in range(max(1, len(padded) - size + 1))]
    return Counter((crc32(gram.encode("utf-8", "replace")) & (_HALF - 1)) | _HALF for gram in grams)
