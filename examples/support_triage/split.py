"""Splits banking77 questions into examples to compare with and questions to be triaged, no question in both.

`python examples/support_triage/split.py PATH` reads a CSV with the columns `id,text,category` and writes, to `data/`,
`banking77.csv` (all), `examples.csv` (the first eight of each intent), `held_out.csv` (the others), `tickets.csv`
(sixty of the held out, drawn by chance with a fixed seed) and `to_label.csv` (the held out that are no tickets).
"""

import csv
import random
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

DATA = Path(__file__).parent / "data"
EXAMPLES_EACH = 8
TICKETS = 60
SEED = 77

Row = dict[str, str]


def main(path: Path) -> None:
    """Split one file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{"id": row["id"], "text": row["text"], "intent": row["category"]} for row in csv.DictReader(file)]
    examples, held_out = split(rows)
    write("banking77.csv", rows)
    write("examples.csv", examples)
    write("held_out.csv", held_out)
    tickets = random.Random(SEED).sample(held_out, TICKETS)
    write("tickets.csv", tickets)
    write("to_label.csv", [row for row in held_out if row not in tickets])


def split(rows: Iterable[Row]) -> tuple[list[Row], list[Row]]:
    """Return the first rows of each intent, and the rest."""
    by_intent: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_intent[row["intent"]].append(row)
    examples = [row for some in by_intent.values() for row in some[:EXAMPLES_EACH]]
    held_out = [row for some in by_intent.values() for row in some[EXAMPLES_EACH:]]
    return examples, held_out


def write(name: str, rows: Iterable[Row]) -> None:
    """Write rows to a file of the data folder."""
    with (DATA / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "text", "intent"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/support_triage/split.py PATH")
    main(Path(sys.argv[1]))
