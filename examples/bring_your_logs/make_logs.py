"""Writes `batch_input.jsonl.gz` and `batch_output.jsonl`: the logs of an application as OpenAI's Batch API leaves them.

    python examples/bring_your_logs/make_logs.py

Three kinds of calls: an intent of 77 for a bank customer's question, whether it is urgent, and a reply in prose.
Questions and intents are those of examples/tickets (banking77); urgency and replies are made up.
"""

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FROM = datetime(2026, 10, 1, tzinfo=UTC)
DAYS, CALLS = 30, 420
KNOWN = [json.loads(line) for line in (HERE.parent / "tickets/truth.jsonl").read_text().splitlines()]
INTENTS = {"enum": sorted({json.loads(one["text"])["intent"] for one in KNOWN})}


def closed(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the response format of one closed field."""
    body = {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": name, "schema": body, "strict": True}}


def call(n: int, text: str, intent: str) -> tuple[dict[str, Any], str]:
    """Return the request of the nth call, and its answer."""
    question = {"role": "user", "content": text}
    agent = f"agent {('Ada', 'Bo', 'Cy', 'Di', 'Eve', 'Flo', 'Gus')[n % 7]}"
    if n % 5 == 4:
        system = (
            f"You are {agent} of a bank. Write a short, friendly reply to the customer's question, without promises."
        )
        return {
            "messages": [{"role": "system", "content": system}, question]
        }, f"Thank you for asking. {text} We look into it."
    if n % 5 == 3:
        system = "Say whether the customer's question can wait until tomorrow."
        form, said = closed("urgent", {"type": "boolean"}), {"urgent": "stolen" in intent or "charged" in text}
    else:
        system = "You sort questions that customers write to a bank. Name the intent."
        form, said = closed("intent", INTENTS), {"intent": intent}
    messages = [{"role": "system", "content": system}, question]
    return {"messages": messages, "response_format": form, "temperature": 0}, json.dumps(said)


def main() -> None:
    """Write the files."""
    asked, answered, truth = [], [], []
    for n, one in enumerate(KNOWN[:CALLS]):
        body, said = call(n, one["contains"], json.loads(one["text"])["intent"])
        at = FROM + timedelta(days=DAYS) * n / CALLS
        usage = {
            "prompt_tokens": 40 + len(one["contains"]) // 4 + 500 * ("intent" in said),
            "completion_tokens": len(said) // 4,
        }
        choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        answer = {"object": "chat.completion", "model": "frontier", "created": int(at.timestamp()), "choices": [choice]}
        sent = {"model": "frontier", **body}
        asked.append({"custom_id": f"q-{n}", "method": "POST", "url": "/v1/chat/completions", "body": sent})
        answered.append({"custom_id": f"q-{n}", "response": {"status_code": 200, "body": {**answer, "usage": usage}}})
        truth.append({"contains": one["contains"], "text": said})
    for name, rows in (("batch_input.jsonl.gz", asked), ("batch_output.jsonl", answered), ("truth.jsonl", truth)):
        text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()
        (HERE / name).write_bytes(gzip.compress(text, mtime=0) if name.endswith(".gz") else text)


if __name__ == "__main__":
    main()
