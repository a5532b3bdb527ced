"""Prompts of one family, told from prompts of another."""

import time

import pytest

from firstline.orchestrator.quality.families.prompts import GAP, common_skeleton, fits, masked, skeleton

LETTER = "You are {} of a bank. Write a short and friendly reply to the question of the customer, without promises."


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Today is 2026-11-29. Sort this.", "Today is 2026-12-01. Sort this."),
        ("It is 09:15 now.", "It is 23:59:01 now."),
        ("Ticket 84120411 of ada@example.org", "Ticket 99120377 of bo@example.net"),
        ("See https://a.example/x?y=1 first", "See https://b.example/z first"),
        ("Trace 123e4567-e89b-42d3-a456-426614174000.", "Trace 00000000-e89b-42d3-a456-426614174fff."),
    ],
)
def test_what_varies_by_its_nature_is_a_gap(one, other):
    assert masked(one) == masked(other)
    assert GAP in masked(one)


@pytest.mark.parametrize("prompt", ["Answer in 3 words.", "Use Python 3.11", "Rate from 1 to 5, face it", ""])
def test_what_a_prompt_means_is_left_in_it(prompt):
    assert masked(prompt) == prompt


def test_prompts_that_differ_in_one_place_become_one_from_the_fifth_on():
    names = ["Ada", "Bo Li", "Cy", "Di", "Eve Ng"]
    prompts = [LETTER.format(name) for name in names]
    assert common_skeleton(prompts[3], prompts[:3]) is None
    shared, parts = common_skeleton(prompts[4], prompts[:4])
    assert sorted(parts) == sorted(prompts[:4])
    assert all(fits(shared, LETTER.format(name)) for name in [*names, "Somebody quite else"])
    assert not fits(shared, "You are Ada of a bank. Write a long and angry reply.")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Name the sentiment.", "Name the language."),
        ("Translate the text to French, keep the names.", "Summarize the call, and list what was agreed upon."),
        ("", "You sort tickets."),
    ],
)
def test_other_tasks_share_no_skeleton(one, other):
    assert skeleton(one, other) is None


def test_a_long_prompt_is_told_in_no_time():
    long = " ".join(f"word{n}" for n in range(20_000))
    began = time.perf_counter()
    shared = skeleton(f"You are Ada. {long}", f"You are Bo. {long}")
    assert shared is None or fits(shared, f"You are Cy. {long}")
    assert not fits(f"a{GAP}" * 2000, "b" * 100_000)
    assert time.perf_counter() - began < 5
