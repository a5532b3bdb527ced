"""Turns recorded answers to GSM8K problems into items and a recording that the simulator replays.

`python examples/gsm8k/convert.py PATH` reads JSON lines, one a problem:
`{"id", "prompt", "gold", "models": {MODEL: {"answer", "tokens_out_cl100k"}}}`,
and writes `items.jsonl` and `recordings.jsonl` beside this file.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def main(path: Path) -> None:
    """Convert one file."""
    with path.open(encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    _write("items.jsonl", map(item, records))
    _write("recordings.jsonl", (line for record in records for line in recordings(record)))


def item(record: dict[str, Any]) -> dict[str, str]:
    """Return what a record asks, and its gold answer."""
    return {"id": record["id"], "problem": record["prompt"], "gold": record["gold"]}


def recordings(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each model's answer; the problem's text in a prompt is what it is found again by."""
    for model, said in record["models"].items():
        usage = {"output_tokens": said["tokens_out_cl100k"]}
        yield {"model": model, "contains": record["prompt"], "text": said["answer"], "usage": usage}


def _write(name: str, lines: Iterable[dict[str, Any]]) -> None:
    with (HERE / name).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/gsm8k/convert.py PATH")
    main(Path(sys.argv[1]))
