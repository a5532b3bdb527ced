"""Writes 2,000 mails of a shop's customers, and what two played models know of them, into the current folder."""

import csv
import json
import random
from pathlib import Path

PIECES = {
    "refund": ("I want my money back for the {thing}", "please refund the {thing}"),
    "delivery": ("where is the {thing} that I ordered", "the {thing} should have come on Monday"),
    "other": ("do you also sell the {thing} in green", "the {thing} is lovely, thank you"),
}
THINGS = ("mixer", "lamp", "kettle", "chair", "clock", "radio")
#: Row 137 asks for money in a roundabout way: the small model makes up a quotation, the large one is misled.
HARD = "Since the clock never came and my patience is gone, let us settle this the usual way. Order {n}."

rng = random.Random(7)
script = """
seed: 7
truth: truth.jsonl
recordings: answers.jsonl
models:
  small: {answer: {kind: truth, accuracy: 0.95}, latency: {kind: lognormal, median: 0.05, p99: 0.4}}
  large: {answer: {kind: truth, accuracy: 1.0}, latency: {kind: lognormal, median: 0.2, p99: 1.0}}
"""
profile = """
name: mine
tiers:
  - name: cheap
    concurrency: 16
    models: [{name: openai/small, api_base: "http://127.0.0.1:9000/v1", price: {input: 0.1, output: 0.4}}]
  - name: frontier
    concurrency: 8
    models: [{name: openai/large, api_base: "http://127.0.0.1:9000/v1", price: {input: 3, output: 15}}]
"""

with Path("mails.csv").open("w", newline="") as mails, Path("truth.jsonl").open("w") as truth:
    table = csv.writer(mails)
    table.writerow(("id", "body", "right"))
    for n in range(1, 2001):
        label = rng.choice(tuple(PIECES))
        quote = rng.choice(PIECES[label]).format(thing=rng.choice(THINGS))
        text = HARD.format(n=n) if n == 137 else f"Hello, {quote}. Order {n}."
        label = "refund" if n == 137 else label
        table.writerow((f"m{n}", text, label))
        truth.write(json.dumps({"contains": text, "text": json.dumps({"label": label, "quote": quote})}) + "\n")
with Path("answers.jsonl").open("w") as answers:
    for model, label, quote in (
        ("small", "refund", "give me my money back"),
        ("small", "refund", "my money is gone"),
        ("large", "delivery", "the clock never came"),
    ):
        text = json.dumps({"label": label, "quote": quote})
        answers.write(json.dumps({"contains": HARD.format(n=137), "model": model, "text": text}) + "\n")
Path("script.yaml").write_text(script)
Path("mine.yaml").write_text(profile)
