"""Measures a student on labelled texts: what share of a stream it answers within the loss, and how often it misses it.

    python bench/student.py [--data F.csv --text COLUMN --label COLUMN]
                            [--max-loss .02] [--delta .1] [--seeds 20] [--json]

A seed is a random order of the rows; a row's label is what the top tier answers. Everything goes as in a job: rows come
in batches, the top tier answers what the student does not, the student learns from that, audits are drawn by coins, and
a student that was caught too often stops. `answered_share` is the share of all rows that the student answered; `labels`
how many answers of the top tier were bought; `loss` the share of all rows that the student answered wrong; `missed` the
share of seeds in which that is above --max-loss. Without --data it takes the tickets that come with the project, which
are few: the target is for 13,000 rows and more.
"""

import argparse
import csv
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from bench.kit.figures import Target, at_least, at_most, finish
from firstline.orchestrator.quality.students.course import Ledger, Standard, is_due, standard
from firstline.orchestrator.quality.students.promise import promise_for
from firstline.orchestrator.quality.students.training import Lesson, train
from firstline.schemas.errors import UserError
from firstline.workers.rules.student_model import leader
from firstline.workers.rules.text_features import text_features

DATA = Path(__file__).resolve().parents[1] / "examples" / "support_triage" / "data" / "banking77.csv"
#: Rows that are out at once: what a job's window holds.
WINDOW = 250
ANSWERED = 0.45
ROWS = 13_000


@dataclass(frozen=True)
class Stream:
    """Rows in their order of arrival."""

    features: Any
    labels: Any

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Setting:
    """What every seed is given."""

    path: Path
    text: str
    label: str
    max_loss: float
    delta: float


@dataclass(frozen=True)
class Outcome:
    """What became of one stream, in shares of all rows (labels: a count)."""

    answered: float
    labels: int
    loss: float


_read: dict[Path, Stream] = {}


def read(setting: Setting) -> Stream:
    """Read a CSV; UserError names the column that is missing."""
    try:
        with setting.path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {setting.text, setting.label} - set(reader.fieldnames or ())
            if missing:
                has = ", ".join(reader.fieldnames or ())
                raise UserError(f"{setting.path.name}: expected a column {min(missing)}; it has {has}")
            rows = [(row[setting.text] or "", row[setting.label] or "") for row in reader]
    except OSError as error:
        raise UserError(f"expected a CSV at {setting.path}, but it cannot be read: {error.strerror}") from error
    return Stream(text_features([text for text, _ in rows]), np.array([label for _, label in rows], dtype=object))


def stream(setting: Setting, seed: int) -> tuple[Stream, Any]:
    """Return the rows in the order of a seed, and the seed's further draws."""
    known = _read.get(setting.path) or _read.setdefault(setting.path, read(setting))
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(known))
    return Stream(known.features[order], known.labels[order]), rng


def run(setting: Setting, seed: int) -> Outcome:
    """Let a stream pass, batch after batch."""
    rows, rng = stream(setting, seed)
    count = len(rows)
    promise = promise_for(count, max_loss=setting.max_loss, delta=setting.delta)
    bought, opening = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    ledger, lesson, lost, answered = Ledger(items=count, begun=0), None, 0, 0
    for start in range(0, count, WINDOW):
        batch = np.arange(start, min(start + WINDOW, count))
        lesson = _learn(lesson, rows, bought, opening, ledger)
        now = standard(lesson.held_out, ledger, promise) if lesson and promise else Standard(None)
        if lesson is None or promise is None or now.margin is None:
            bought[batch] = True
            opening[batch] = lesson is None
            ledger = replace(ledger, begun=int(batch[-1]) + 1)
            continue
        right, sure = _answers(lesson, rows, batch, now.margin)
        audited = sure & (rng.random(len(batch)) < promise.audit_share)
        # The catch that ends it: what comes after it in the batch goes up.
        stop = np.cumsum(audited & ~right) >= promise.most_caught - ledger.caught
        sure &= ~np.concatenate([[False], stop[:-1]])
        audited &= sure
        served = sure & ~audited
        bought[batch[~served]] = True
        answered += int(served.sum())
        lost += int((served & ~right).sum())
        ledger = replace(
            ledger,
            begun=int(batch[-1]) + 1,
            caught=ledger.caught + int((audited & ~right).sum()),
            foreseen=ledger.foreseen + now.loss * promise.audit_share * len(batch),
        )
    return Outcome(answered / count, int(bought.sum()), lost / count)


def _learn(known: Lesson | None, rows: Stream, bought: Any, opening: Any, ledger: Ledger) -> Lesson | None:
    trained_on = known.labels if known else None
    if not is_due(int(bought.sum()), trained_on=trained_on, items=ledger.items, begun=ledger.begun):
        return known
    try:
        return train(rows.features[bought], rows.labels[bought].tolist(), opening[bought])
    except UserError as error:
        if "differ" not in str(error):
            raise
        return known


def _answers(lesson: Lesson, rows: Stream, batch: Any, margin: float) -> tuple[Any, Any]:
    """Return which rows the student would answer right, and of which it is sure."""
    model = lesson.model
    said, margins = leader(np.asarray(rows.features[batch][:, model.columns] @ model.weights + model.bias))
    return np.array(model.answers, dtype=object)[said] == rows.labels[batch], margins >= margin


def measure(setting: Setting, seeds: int) -> dict[str, float]:
    """Return the figures over seeds."""
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if seeds == 1 or workers == 1:
        found = [run(setting, seed) for seed in range(seeds)]
    else:
        with ProcessPoolExecutor(min(workers, seeds)) as pool:
            found = list(pool.map(run, [setting] * seeds, range(seeds)))
    return {
        "answered_share": round(float(np.mean([one.answered for one in found])), 4),
        "labels": round(float(np.mean([one.labels for one in found])), 1),
        "missed": round(float(np.mean([one.loss > setting.max_loss for one in found])), 4),
        "loss": round(float(np.mean([one.loss for one in found])), 5),
    }


def targets(figures: dict[str, float], setting: Setting, rows: int) -> list[Target]:
    """Return the figures beside their targets; the share has one from 13,000 rows on."""
    missed = at_most("share of seeds above the loss", figures["missed"], setting.delta)
    share = at_least("share of all rows answered", figures["answered_share"], ANSWERED, digits=3)
    return [missed, share if rows >= ROWS else {**share, "target": f"{share['target']} at {ROWS:,} rows", "met": None}]


def main(argv: list[str] | None = None) -> int:
    """Measure; return 1 when a target was missed, 2 for input to mend."""
    options = _options(argv)
    setting = Setting(options.data, options.text, options.label, options.max_loss, options.delta)
    try:
        rows = len(_read.setdefault(setting.path, read(setting)))
        figures = measure(setting, options.seeds)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not options.json:
        print(
            f"{rows:,} rows, {options.seeds} seeds: the student answered {figures['answered_share']:.1%} of all rows; "
            f"{figures['labels']:,.0f} labels; {figures['loss']:.2%} of all rows answered wrong; more than "
            f"{setting.max_loss:.2%} in {figures['missed']:.0%} of the seeds"
        )
    return finish({"bench": "student", **figures, "targets": targets(figures, setting, rows)}, options)


def _options(argv: list[str] | None) -> argparse.Namespace:
    made = argparse.ArgumentParser(prog="python -m bench.student", description=(__doc__ or "").splitlines()[0])
    made.add_argument("--data", type=Path, default=DATA, help="CSV with a text and a label a row")
    made.add_argument("--text", default="text", metavar="COLUMN")
    made.add_argument("--label", default="intent", metavar="COLUMN")
    made.add_argument("--max-loss", type=float, default=0.02)
    made.add_argument("--delta", type=float, default=0.1)
    made.add_argument("--seeds", type=int, default=20)
    made.add_argument("--quick", action="store_true", help="5 seeds")
    made.add_argument("--json", action="store_true", help="print JSON alone")
    options = made.parse_args(argv)
    if options.quick:
        options.seeds = min(options.seeds, 5)
    if not (0 < options.max_loss < 1 and 0 < options.delta < 1 and options.seeds >= 1):
        made.error("expected --max-loss and --delta between 0 and 1, and --seeds of 1 or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
