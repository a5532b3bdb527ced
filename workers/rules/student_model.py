"""A student: a linear classifier of texts as plain arrays, which names an answer and how far it is ahead."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from firstline.schemas.errors import UserError
from firstline.workers.rules.text_features import FEATURES, text_features

Floats = NDArray[np.float64]
#: What the arrays mean; a student of another version is not read.
VERSION = 1


@dataclass(frozen=True)
class StudentModel:
    """One weight vector an answer; the answer of the highest score is the student's."""

    #: Each answer as canonical JSON.
    answers: tuple[str, ...]
    #: Columns of the features that have weights; all others are 0.
    columns: NDArray[np.int32]
    #: (columns, answers).
    weights: NDArray[np.float32]
    #: (answers,).
    bias: NDArray[np.float32]

    def answer(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], Floats]:
        """Return for each text the number of its answer, and its margin: how far its score is above the second best."""
        rows = text_features(texts)
        scores = np.tile(self.bias.astype(np.float64), (len(texts), 1))
        for number in range(len(texts)):
            inside = slice(rows.indptr[number], rows.indptr[number + 1])
            places = self._places[rows.indices[inside]]
            known = places >= 0
            scores[number] += rows.data[inside][known] @ self.weights[places[known]]
        return leader(scores)

    @cached_property
    def _places(self) -> NDArray[np.int32]:
        """Return where each feature stands among the columns; -1: nowhere. To pick columns one by one takes longer."""
        places = np.full(FEATURES, -1, dtype=np.int32)
        places[self.columns] = np.arange(len(self.columns), dtype=np.int32)
        return places

    def pack(self) -> bytes:
        """Return the student as bytes: a line of JSON, then its arrays one after the other, compressed."""
        head = {"version": VERSION, "features": FEATURES, "answers": self.answers, "columns": len(self.columns)}
        arrays = (self.columns, self.weights, self.bias)
        return zlib.compress(b"\n".join([json.dumps(head).encode(), b"".join(array.tobytes() for array in arrays)]), 1)

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Return the student that was packed; UserError where another version of Firstline packed it."""
        head, _, body = zlib.decompress(packed).partition(b"\n")
        known = json.loads(head)
        if (known["version"], known["features"]) != (VERSION, FEATURES):
            raise UserError(
                f"expected a student of version {VERSION}, got version {known['version']}: another version of "
                "Firstline made it; it answers nothing, and the next job trains a new one"
            )
        answers, columns = tuple(known["answers"]), int(known["columns"])
        weights = columns * len(answers)
        floats = np.frombuffer(body, dtype=np.float32, offset=4 * columns)
        return cls(
            answers=answers,
            columns=np.frombuffer(body, dtype=np.int32, count=columns),
            weights=floats[:weights].reshape(columns, len(answers)),
            bias=floats[weights:],
        )


def leader(scores: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return each row's best column, and how far it is above the second best."""
    two = np.partition(scores, -2, axis=1)[:, -2:]
    return scores.argmax(axis=1), two[:, 1] - two[:, 0]
