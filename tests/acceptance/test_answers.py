"""Answers, inputs and providers as they really are: nothing wrong in silence, nobody charged for another.

Every row of `tests/data/cases` is played as its user would play it, on a Redis that is bound to one namespace.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.batch_endings import serving
from tests.acceptance.case_runs import CASES, BoundRedis, deployed, lines_of, run_case
from tests.acceptance.commands import typed
from tests.acceptance.played_replies import answered, items_shown, plays
from tests.acceptance.processes import Deployment
from tests.servers import Missing, postgresql

#: A busy machine takes minutes for what an idle one does in seconds.
pytestmark = pytest.mark.timeout(300)

LABELS = ("refund", "delivery", "other")
RIGHT = {"label": "delivery", "quote": "where is it"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("house")
    with deployed(folder, f"sqlite:///{folder / 'firstline.db'}") as deployment:
        yield deployment


def rows(name: str) -> list[dict[str, Any]]:
    return lines_of(CASES / name / "expected.jsonl")


@pytest.mark.parametrize("row", rows("01-csv-exports"), ids=lambda row: row["file"])
def test_01_a_table_is_read_as_it_was_exported(house, tmp_path, row):
    ran = run_case("01-csv-exports", tmp_path, "--input", row["file"])
    settled = [line for line in ran.lines if line["status"] == "settled"]
    failed = [line for line in ran.lines if line["status"] == "failed"]
    if "refused" in row:
        assert ran.code == 2
        assert ran.lines == []
        told = ("(text)",) if row["file"] == "header_twice.csv" else ("'7' stands twice", "row 2", "row 3")
        assert all(word in ran.told for word in told)
        return
    assert "Traceback" not in ran.told
    assert (len(settled), len(failed)) == (row.get("settled", row.get("items")), row.get("items", 2) - len(settled))
    if "labels" in row:
        assert sorted(line["output"]["label"] for line in settled) == row["labels"]
    assert all(re.match(r"row \d+ ", line["reason"]) for line in failed)


def test_02_each_hostile_line_fails_alone_with_its_number(house, tmp_path):
    ran = run_case("02-jsonl-hostile", tmp_path)
    (row,) = ran.expected
    settled = {line["item_id"] for line in ran.lines if line["status"] == "settled"}
    assert settled >= {*row["settled"]} - {"big", "deep500", "dup"}
    assert settled <= {*row["settled"]}
    failed = [line for line in ran.lines if line["status"] == "failed"]
    assert len(settled) + len(failed) == len(ran.lines) >= len(row["settled"]) + len(row["failed_alone_with_line"]) - 2
    assert all(re.match(r"line \d+ ", line["reason"]) and line["cost_usd"] == 0 for line in failed)
    assert "set_int_max_str_digits" not in json.dumps(failed)
    for file, word in (("one_object_pretty.json", "jq"), ("array_with_bad_tail.json", "take the comma away")):
        done = typed(tmp_path, "run", "job.yaml", "--input", file, "--out", "other.jsonl")
        assert (done.code, word in done.told) == (2, True)


def test_03_marks_that_split_lines_split_no_answer_of_a_batch(house, tmp_path):
    ran = run_case("03-batch-line-separators", tmp_path)
    for row in ran.expected:
        found = ran.results[row["item_id"]]
        assert (found["output"], found["tier"], found["attempts"]) == (row["output"], "overnight", 1)


#: How a batch ends -> requests of each batch handed in.
SUBMITTED = {
    "good": [4],
    "badline": [4, 1],
    "expired": [4, 3],
    "missing": [4, 1],
    "twice": [4],
    "crlf": [4],
    "partialusage": [4],
}


@pytest.mark.long
@pytest.mark.parametrize("row", rows("04-batch-endings"), ids=lambda row: row["mode"])
def test_04_however_a_batch_ends_what_is_paid_is_kept_and_nothing_is_paid_twice(house, tmp_path, row):
    with serving(row["mode"]) as (url, endings):
        ran = run_case("04-batch-endings", tmp_path, server=url, change=hurried if row["mode"] == "failed" else str)
    assert [line["status"] for line in ran.lines] == ["settled"] * 4
    assert all(line["output"] == RIGHT for line in ran.lines)
    usd = [line["cost_usd"] for line in ran.lines]
    match row["mode"]:
        case "noout":
            assert sum(endings.submitted) + endings.direct == 8
            told = typed(tmp_path, "item", latest(tmp_path), ran.lines[0]["item_id"], "--json").told
            assert row["reason_told"] in told
        case "failed":
            assert 1 <= len(endings.submitted) <= row["submitted_at_most"]
        case "partialusage":
            assert usd == [None] * 4
        case mode:
            assert sorted(endings.submitted) == sorted(SUBMITTED[mode])
            assert len({*usd}) == 1
            assert endings.direct == 0


def hurried(folder: Path) -> None:
    """Let a Batch API that fails be given up after seconds: how long it is waited for is not what is tested."""
    tier = folder / "tiers" / "case.yaml"
    tier.write_text(tier.read_text("utf-8").replace("window_s: 10", "window_s: 5"), "utf-8")


@pytest.mark.parametrize("tier", ["cheap", "mid", "frontier"])
def test_05_a_bill_is_what_the_provider_writes(house, tmp_path, tier):
    of_tier = {"cheap": ("write5m", "write1h", "plain"), "mid": ("flex",)}
    others = ("reasoning", "cachedmore", "nousage", "floats")
    ids = {f"case-{name}" for name in of_tier.get(tier, others)}

    def only(folder: Path) -> None:
        items = [item for item in lines_of(folder / "items.jsonl") if item["id"] in ids]
        (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items), "utf-8")
        with (folder / "job.yaml").open("a", encoding="utf-8") as job:
            job.write(f"tiers: [{tier}]\n")

    ran = run_case("05-cost-accounting", tmp_path, change=only)
    assert {line["item_id"] for line in ran.lines} == ids
    for row in (row for row in ran.expected if row["item_id"] in ids):
        found = ran.results[row["item_id"]]
        assert found["status"] == "settled"
        match row.get("usd", ...):
            case None:
                assert found["cost_usd"] is None
            case float() as usd:
                assert found["cost_usd"] == pytest.approx(usd, abs=1e-9)
            case _ if tier == "mid":
                # Half of 1,000 x 0.15 + 100 x 0.6 dollars a million, where the price list has flex; else it is unknown.
                assert found["cost_usd"] in (None, pytest.approx(0.000105, abs=1e-9))
            case _:
                # More cached than sent is never a gain.
                assert 0 < found["cost_usd"] <= 0.00028


@pytest.mark.parametrize(
    "name",
    ["06-think-tags", "08-truncated-stop", "10-http-200-errors", "12-logprobs-null", "14-strict-schema-refused"],
)
def test_06_to_14_every_row_comes_out_right(house, tmp_path, name):
    ran = run_case(name, tmp_path)
    for row in (row for row in ran.expected if "item_id" in row):
        found = ran.results[row["item_id"]]
        assert found["status"] == "settled", found
        assert "output" not in row or found["output"] == row["output"], found
        assert "tier" not in row or found["tier"] in row["tier"], found
        assert "internal error" not in (found["reason"] or "")
    for row in (row for row in ran.expected if "settled" in row):
        assert sum(line["status"] == "settled" for line in ran.lines) == row["settled"]
        assert 0 < ran.statuses.count(400) <= row["refused_calls_in_stub_log_at_most"]
        assert sum(one["unanswered"] for one in ran.report["models"]) == ran.statuses.count(400)
    if name.startswith("06"):
        assert {item for item, line in ran.results.items() if line["repaired"]} == {"think_then_fence", "tool_call_tag"}


def test_15_prices_are_multiples_of_a_cent_and_one_that_is_none_is_refused_with_the_reason(house, tmp_path):
    ran = run_case("15-multipleof-money", tmp_path)
    for row in ran.expected:
        found = ran.results[row["item_id"]]
        if "reason" in row:
            assert found["status"] == "failed"
            assert row["reason"] in found["reason"]
        else:
            assert (found["output"], found["tier"], found["attempts"]) == (row["output"], row["tier"], row["attempts"])


def test_16_no_character_of_an_answer_breaks_anything(house, tmp_path):
    look_at_characters(tmp_path)


def test_16_no_character_of_an_answer_breaks_anything_on_postgresql(tmp_path):
    try:
        with postgresql() as server, deployed(tmp_path / "house", server.new_database("characters")):
            look_at_characters(tmp_path / "case")
    except Missing as missing:
        pytest.skip(f"not installed: {missing}")


#: What comes as it was written, and what has to be asked for again.
KEPT = ("pair", "control", "minus_zero", "noncharacter", "bidi")
NO_JSON = ("nan", "infinity", "too_big")


def look_at_characters(folder: Path) -> None:
    ran = run_case("16-broken-characters-in-answers", folder)
    assert ran.code == 0
    assert {line["status"] for line in ran.lines} == {"settled"}
    assert {row["item_id"] for row in ran.expected} == ran.results.keys()
    assert "internal error" not in json.dumps(ran.lines)
    first = {
        play["contains"]: json.loads(play["replies"][0]["body"]["choices"][0]["message"]["content"], strict=False)
        for play in json.loads((CASES / "16-broken-characters-in-answers" / "plays.json").read_text("utf-8"))
        if any(f"{name}" in play["contains"] for name in KEPT)
    }
    for item, line in ran.results.items():
        json.dumps(line, ensure_ascii=False).encode("utf-8")
        written = next((value for needle, value in first.items() if item in needle), None)
        if item in KEPT:
            assert (line["output"], line["attempts"]) == (written, 1)
        if item in NO_JSON:
            assert line["attempts"] > 1
    typed(folder, "results", latest(folder), "--out", "r.csv")
    table = (folder / "r.csv").read_bytes()
    assert b"\x00" not in table


def latest(folder: Path) -> str:
    """Return the id of the last job that was run."""
    return str(json.loads(typed(folder, "jobs", "--json").out)[0]["job"])


MISNUMBERED: dict[str, Callable[[list[str]], list[Any]]] = {
    "good": lambda keys: [*keys],
    "ordinals": lambda keys: [*range(1, len(keys) + 1)],
    "swapped": lambda keys: [2, 1, *range(3, len(keys) + 1)][: len(keys)],
    "texts": lambda keys: [str(n) for n in range(1, len(keys) + 1)],
    "from_zero": lambda keys: [*range(len(keys))],
    "fewer": lambda keys: keys[:-2] or keys,
    "none": lambda keys: [None] * len(keys),
    "twice": lambda keys: [keys[0], *keys[:-1]],
    "extra": lambda keys: [*keys, "zzzz"],
    "all_one": lambda keys: [keys[0]] * len(keys),
}


def misnumbered(asked: dict[str, Any]) -> Any:
    """Answer packs under codes that are wrong in the way that the items' text says; single items rightly."""
    things = items_shown(asked, r"pack-(\w+) thing(\d+) is late")
    answers = [{"label": LABELS[int(n) % 3], "quote": f"thing{n} is late"} for _, n in things]
    keys = items_shown(asked, r'<item n="(\w+)">')
    if not keys:
        return answered(json.dumps(answers[-1]), asked["model"])
    given = MISNUMBERED[things[0][0]](keys)
    results = [{"n": key, "answer": answers[min(n, len(answers) - 1)]} for n, key in enumerate(given)]
    return answered(json.dumps({"results": results}), asked["model"])


def rewritten(folder: Path, items: list[dict[str, Any]], *, pack: bool = False) -> None:
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items), "utf-8")
    skill = folder / "skills" / "label.yaml"
    if pack:
        skill.write_text(skill.read_text("utf-8").replace("policy:", "pack: 5\npolicy:"), "utf-8")


def test_20_no_item_of_a_pack_gets_a_neighbours_answer_without_any_check(house, tmp_path):
    items = [
        {"id": f"{kind}-{n}", "text": f"pack-{kind} thing{n} is late"} for kind in MISNUMBERED for n in range(1, 21)
    ]
    ran = run_case(
        "10-http-200-errors",
        tmp_path,
        answer=misnumbered,
        change=lambda folder: rewritten(folder, items, pack=True),
    )
    right = {item["id"]: LABELS[int(item["id"].split("-")[1]) % 3] for item in items}
    assert {item: line["output"]["label"] for item, line in ran.results.items()} == right
    assert any('<item n="' in json.dumps(asked).replace('\\"', '"') for asked, _ in ran.log)


def test_21_what_is_too_long_for_a_model_goes_to_a_larger_one_or_fails_with_numbers(house, tmp_path):
    ran = run_case("21-too-long-items", tmp_path)
    assert {ran.results[f"short{n}"]["tier"] for n in range(10)} == {"cheap"}
    assert ran.results["cheap_no"]["tier"] == ran.results["chars"]["tier"] == "frontier"
    for item in ("none", "over_max"):
        line = ran.results[item]
        assert (line["status"], line["cost_usd"]) == ("failed", 0)
        assert re.search(r"\d{3}", line["reason"])
    assert ran.results["over_max"]["attempts"] == 0
    assert ran.results["cheap_no"]["attempts"] <= 2


def test_one_flagged_item_switches_no_model_off(house, tmp_path):
    names = ["odd403", "odd429", *map(str, range(30))]
    items = [{"id": name, "text": f"item-{name}: where is it"} for name in names]
    odd = [
        {
            "contains": f"item-odd{status}:",
            "model": "small",
            "replies": [{"status": status, "body": {"error": {"message": "not this one", "code": status}}}],
        }
        for status in (403, 429)
    ]
    good = {"contains": "", "replies": [answered(json.dumps(RIGHT), "small")]}
    ran = run_case(
        "10-http-200-errors",
        tmp_path,
        answer=plays([*odd, good]),
        change=lambda folder: rewritten(folder, items),
    )
    tiers = {item: line["tier"] for item, line in ran.results.items()}
    assert {item for item, tier in tiers.items() if tier == "frontier"} == {"odd403", "odd429"}
    assert all(line["status"] == "settled" for line in ran.lines)


def test_all_of_it_keeps_within_the_namespace_that_redis_allows(house):
    assert isinstance(house.redis, BoundRedis)
    assert house.redis.refused == []
