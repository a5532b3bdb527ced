"""Personal data in logs."""

import time

import pytest

from firstline.orchestrator.experiments.adopt.log_formats import RecordedCall
from firstline.orchestrator.experiments.adopt.redaction import masked, redacted


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Write to ada.l+x@mail.example.org, please", "Write to [e-mail], please"),
        ("Card 4111 1111 1111 1111 was charged", "Card [card] was charged"),
        ("Card 4111-1111-1111-1111.", "Card [card]."),
        ("Call +49 30 901820 or (030) 901-820", "Call [phone] or [phone]"),
        ("Ring 0170 1234567 now", "Ring [phone] now"),
        (
            "Order 4111111111111112 of 2026-11-30, 3 pieces at 12.50",
            "Order 4111111111111112 of 2026-11-30, 3 pieces at 12.50",
        ),
        ("In 10 days, 24/7, v1.2.3", "In 10 days, 24/7, v1.2.3"),
    ],
)
def test_addresses_phones_and_cards_are_masked_and_nothing_else(text, left):
    assert masked(text) == left


def test_all_texts_of_a_call_are_masked():
    parts = [{"type": "text", "text": "I am ada@example.org"}, {"type": "image_url", "image_url": {"url": "x"}}]
    turns = [{"role": "system", "content": "Ask bo@example.org"}, {"role": "user", "content": parts}]
    call = redacted(RecordedCall({"messages": turns}, "mail to cy@example.org", "m"))
    assert "@" not in str(call.request) + call.answer
    assert call.request["messages"][1]["content"][1] == parts[1]


def test_a_text_made_to_be_slow_is_not():
    began = time.perf_counter()
    for text in ("a." * 50_000 + "@", "1 " * 100_000, "+1" * 100_000, "0" * 200_000):
        masked(text)
    assert time.perf_counter() - began < 5
