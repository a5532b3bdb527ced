"""Long texts: parts that fit, at good places, with their offsets; and what was said of them put together."""

import random
import time
from itertools import pairwise

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from firstline.schemas.tool import ToolSpec
from firstline.workers.tools.long_texts.vocabulary import counter_of
from firstline.workers.tools.registry import build

O200K = "openai/gpt-4o"


def tool(name, options=None):
    return build({name: ToolSpec(name=name, kind=name, options=options or {})})[name]


def parts_of(text, **options):
    result = tool("split", options).run({"text": text})
    assert result.error is None, result.error
    assert not result.truncated
    return result.value


def tokens(text, name="o200k_base"):
    counter_of(O200K, "")([""])  # it finds the vocabularies that are here
    return len(tiktoken.get_encoding(name).encode_ordinary(text))


WORDS = st.sampled_from(
    ["word ", "Ende. ", "\n\n", "# Head\n", "数据很长。", "\U0001f600", "x" * 200, "a\u0301 ", "\t", "«да» "]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, max_size=400).map("".join), st.integers(50, 300), st.integers(0, 24))
def test_parts_fit_know_their_places_and_lose_nothing(text, most, overlap):
    parts = parts_of(text, tokens=most, overlap=overlap, model=O200K)
    assert all(part["text"] == text[part["start"] : part["end"]] for part in parts)
    assert all(tokens(part["text"]) <= most for part in parts)
    covered, before = 0, 0
    for part in parts:
        assert part["start"] >= before
        assert text[covered : part["start"]].strip() == ""
        assert tokens(text[part["start"] : covered]) <= overlap
        covered, before = max(covered, part["end"]), part["start"]
    assert text[covered:].strip() == ""
    if overlap == 0:
        assert "".join(part["text"] for part in parts).split() == text.split()


def test_a_part_ends_before_a_heading_then_a_paragraph_then_a_sentence():
    section = "It rained for days. Nobody came. " * 12
    text = f"# One\n\n{section}\n\n## Two\n\n{section}\n\nTitle three\n===========\n\n{section}"
    parts = parts_of(text, tokens=170)
    assert [part["text"].splitlines()[0] for part in parts] == ["# One", "## Two", "Title three"]
    assert [part["heading"] for part in parts] == ["One", "Two", "Title three"]
    paragraphs = "\n\n".join(["A short sentence. Another one stands here."] * 40)
    assert all(part["text"].rstrip().endswith("stands here.") for part in parts_of(paragraphs, tokens=60))
    assert all(part["text"].rstrip().endswith(".") for part in parts_of(section * 3, tokens=50))


def test_the_next_part_begins_with_the_end_of_the_last():
    text = " ".join(f"Sentence number {n} says little." for n in range(300))
    parts = parts_of(text, tokens=200, overlap=40)
    for before, after in pairwise(parts):
        shared = text[after["start"] : before["end"]]
        assert shared.startswith("Sentence")
        assert 20 <= tokens(shared, "cl100k_base") <= 40


@pytest.mark.parametrize(
    "model", ["anthropic/claude-sonnet-4-5", "deepseek/deepseek-chat", O200K, "openai/qwen-2.5", ""]
)
def test_tokens_are_those_of_the_model_that_reads(model):
    text = "Die Bestätigung der Übernahmevereinbarung 数据 steht aus; {'id': 4711}. " * 80
    counts = counter_of(model, "")([part["text"] for part in parts_of(text, tokens=300, model=model)])
    assert max(counts) <= 300
    assert min(counts[:-1]) >= 150
    by_four = len(text) / 4
    assert abs(sum(counts) - by_four) > 0.05 * by_four, "four characters a token would not have done"


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("a " * 10, {"tokens": 100, "overlap": 50}, "expected an overlap below half of tokens"),
        ("word " * 40_000, {"tokens": 50}, "more than 500 parts of 50 tokens; raise the option `tokens`"),
        ("a", {"tokenizer": "/no/tokenizer.json"}, "there is no file /no/tokenizer.json"),
    ],
)
def test_what_will_not_do_is_one_sentence(text, options, sentence):
    assert sentence in tool("split", options).run({"text": text}).error


def test_a_long_text_without_a_space_takes_no_time_and_is_not_cut_short():
    started = time.process_time()
    parts = parts_of("ab" * 1_000_000, tokens=20_000)
    assert sum(len(part["text"]) for part in parts) == 2_000_000
    assert time.process_time() - started < 10
    assert parts_of("", tokens=100) == parts_of(" \n ", tokens=100) == []


PARTS = [
    {"n": 1, "text": "Anna pays 40 euros. ", "start": 0, "end": 20, "heading": None},
    {"n": 2, "text": "40 euros. Bert pays\n30 euros.", "start": 10, "end": 39, "heading": None},
]


def gathered(answers, parts=PARTS, **options):
    result = tool("gather", options).run({"answers": answers, "parts": parts})
    assert result.error is None, result.error
    return result.value


def test_lists_are_merged_equal_things_once_with_their_places_in_the_whole_text():
    answers = [
        {"found": [{"who": "Anna", "quote": "Anna pays"}, {"who": "?", "quote": "40 euros."}]},
        {"found": [{"who": "?", "quote": "40 Euros."}, {"who": "Bert", "quote": "Bert pays 30"}, None]},
    ]
    merged = gathered(answers, field="found", quote="quote")
    assert [one["who"] for one in merged["value"]] == ["Anna", "?", "Bert"]
    assert merged["spans"] == [
        [{"part": 1, "start": 0, "end": 9}],
        [{"part": 1, "start": 10, "end": 19}],
        [{"part": 2, "start": 20, "end": 32}],
    ]
    whole = gathered(answers, field="found")
    assert whole["spans"][2] == [{"part": 2, "start": 10, "end": 39}]
    assert gathered([["a"], ["b", "A"]], parts=[])["spans"] == [[{"part": 1}, {"part": 2}], [{"part": 2}]]


@pytest.mark.parametrize("nothing", [None, {}, {"sum": None}, {"sum": ""}, {"other": 1}])
def test_the_first_that_was_found_is_taken(nothing):
    assert gathered([nothing, {"sum": 30}], how="first", field="sum") == {
        "value": 30,
        "spans": [{"part": 2, "start": 10, "end": 39}],
    }
    assert gathered([nothing, nothing], how="first", field="sum") == {"value": None, "spans": []}


def test_most_votes_win_and_the_first_of_equals():
    three = [*PARTS, {**PARTS[1], "n": 3}]
    assert gathered(["No", "yes ", "YES"], parts=three, how="vote") | {"spans": 0} == {
        "value": "yes ",
        "spans": 0,
        "votes": 2,
        "of": 3,
    }
    assert gathered(["b", "a"], how="vote")["value"] == "b"
    assert gathered([None, None], how="vote") == {"value": None, "spans": [], "votes": 0, "of": 0}


def test_answers_that_are_not_the_parts_are_refused():
    assert "an answer for each of the 2 parts, got 1" in tool("gather").run({"answers": ["a"], "parts": PARTS}).error


def test_400_kilobytes_are_cut_in_seconds():
    random.seed(1)
    text = " ".join(random.choices(["lorem", "ipsum.", "dolor\n\n", "sit", "amet"], k=75_000))
    started = time.process_time()
    parts = parts_of(text, tokens=4000)
    assert len(text) > 400_000
    assert "".join(part["text"] for part in parts) == text
    assert time.process_time() - started < 4
