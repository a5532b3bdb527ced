"""The simulator's own log of what it answered: what a provider would put on the bill."""

import os
import time
from collections import Counter
from pathlib import Path

from pydantic_core import to_json

from firstline.schemas.base import Frozen, JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.tier import Lane


class LedgerEntry(Frozen):
    """One answered call."""

    n: int
    #: Seconds since the epoch.
    at: float
    model: str
    #: Hash of the messages.
    key: str
    input_tokens: int
    cached_tokens: int
    #: Of the input, written to the cache because it was marked.
    cache_write_tokens: int = 0
    output_tokens: int
    #: The lane that it was answered on; None: its request named none.
    service_tier: Lane | None = None
    #: Seconds that the answer was held back: the model's latency.
    delay_s: float = 0.0
    #: The fault that the answer bore, if any.
    fault: str | None = None
    #: Whether the client was still there to take the answer.
    delivered: bool = True
    #: Id of the batch, for a call of the Batch API.
    batch: str | None = None


class Ledger:
    """Keeps paid calls in memory, appends them to a file if there is one, and counts everything."""

    def __init__(self, path: Path | None = None) -> None:
        self.paid: list[LedgerEntry] = []
        self._statuses: Counter[tuple[str, str]] = Counter()
        self._faults: Counter[tuple[str, str]] = Counter()
        self._tokens: Counter[tuple[str, str]] = Counter()
        self._in_flight = 0
        self._peak = 0
        self._started = time.time()
        self._file = None if path is None else _open(path)

    def open_call(self) -> None:
        """Count a call that has come in."""
        self._in_flight += 1
        self._peak = max(self._peak, self._in_flight)

    def close_call(self, model: str, outcome: str) -> None:
        """Count how a call ended: an HTTP status, `drop` or `hang`."""
        self._in_flight -= 1
        self._statuses[model, outcome] += 1

    def strike(self, model: str, fault: str) -> None:
        """Count a fault played."""
        self._faults[model, fault] += 1

    def charge(self, model: str, **details: object) -> None:
        """Log an answered call; one write of one line, so that several readers always see whole lines."""
        paid = LedgerEntry.model_validate(
            {"n": len(self.paid) + 1, "at": round(time.time(), 6), "model": model, **details}
        )
        self.paid.append(paid)
        for name in ("input_tokens", "cached_tokens", "output_tokens"):
            self._tokens[model, name] += getattr(paid, name)
        if self._file is not None:
            os.write(self._file, to_json(paid) + b"\n")

    def stats(self) -> JsonObject:
        """Return counts over all and per model."""
        models = sorted({model for counter in (self._statuses, self._faults, self._tokens) for model, _ in counter})
        total = sum(self._statuses.values())
        limited = sum(count for (_, outcome), count in self._statuses.items() if outcome == "429")
        return {
            "uptime_s": round(time.time() - self._started, 3),
            "calls": total,
            "paid": len(self.paid),
            "in_flight": self._in_flight,
            "in_flight_peak": self._peak,
            "share_429": limited / total if total else None,
            "models": {model: self._model(model) for model in models},
        }

    def _model(self, model: str) -> JsonObject:
        return {
            "outcomes": _of(self._statuses, model),
            "faults": _of(self._faults, model),
            **_of(self._tokens, model),
        }


def _of(counter: Counter[tuple[str, str]], model: str) -> JsonObject:
    return {name: count for (owner, name), count in sorted(counter.items()) if owner == model}


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}; name a log file in a writable folder") from None
