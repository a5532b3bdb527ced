"""Turns utterances with marked slots (NLU++) into the items of this example.

`python examples/data_enrichment/convert.py PATH` reads JSON lines such as
`{"id", "text", "slots": {NAME: {"text", "span", "value"}}}` and writes `items.jsonl` beside this file.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

HERE = Path(__file__).parent
WITH_SLOTS, WITHOUT = 30, 10


def main(path: Path) -> None:
    """Convert one file."""
    with path.open(encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    with (HERE / "items.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(item(record), ensure_ascii=False) + "\n" for record in drawn(records))


def drawn(records: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield a fixed sample in the order of the file: three texts with slots to one without any."""
    random = Random(7)
    marked = [record for record in records if record.get("slots")]
    bare = [record for record in records if not record.get("slots")]
    chosen = {record["id"] for record in (*random.sample(marked, WITH_SLOTS), *random.sample(bare, WITHOUT))}
    return (record for record in records if record["id"] in chosen)


def item(record: dict[str, Any]) -> dict[str, Any]:
    """Return an utterance with the slots that people marked: name and words."""
    marked = record.get("slots", {}).items()
    return {
        "id": record["id"],
        "text": record["text"],
        "slots": [{"slot": name, "text": slot["text"]} for name, slot in marked],
    }


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/data_enrichment/convert.py PATH")
    main(Path(sys.argv[1]))
