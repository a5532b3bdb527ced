"""Joins licence texts and the labels that lawyers' summaries give them into the items of this example.

`python examples/contract_review/convert.py` reads `data/*.txt` and `data/labels.json` and writes `items.jsonl`.
"""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FAMILIES = ("permissions", "conditions", "limitations")


def main() -> None:
    """Write one item a licence."""
    labels = json.loads((HERE / "data" / "labels.json").read_text(encoding="utf-8"))
    with (HERE / "items.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(item(label), ensure_ascii=False) + "\n" for label in labels)


def item(label: dict[str, Any]) -> dict[str, Any]:
    """Return a licence's text and what it permits, demands and excludes."""
    text = (HERE / "data" / f"{label['id']}.txt").read_text(encoding="utf-8")
    return {
        "id": label["id"],
        "title": label["title"],
        "text": text,
        "labels": {family: sorted(label[family]) for family in FAMILIES},
    }


if __name__ == "__main__":
    main()
