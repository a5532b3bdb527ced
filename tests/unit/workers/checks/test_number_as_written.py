"""A value is tied to the quote that it was read from."""

import pytest

from firstline.schemas.check import NumberAsWritten
from firstline.schemas.skill import InputField, Skill
from firstline.workers.checks import run_checks


def said(answer, field="total", **spec):
    check = NumberAsWritten(kind="number_as_written", field=field, quote=spec.pop("quote", "quote"), **spec)
    skill = Skill(
        name="s", version=1, instructions="x", input={"text": InputField()}, output={"type": "object"}, checks=(check,)
    )
    return run_checks(skill, answer, item={"text": ""})[1].reason


@pytest.mark.parametrize(
    ("value", "quote", "spec", "reason"),
    [
        (1234.56, "Total: 1.234,56 EUR", {}, None),
        (1234.56, "Total: 1,234.56", {}, None),
        (1234, "1.234 Stück", {}, None),
        (1.234, "1.234 Stück", {"locale": "de"}, "1.234 is not what the quote '1.234 Stück' says: 1234"),
        (56, "Total: 1.234,56", {}, "56 is not what the quote"),
        (-5, "loss of (5.00)", {}, None),
        (5, "a loss of -5", {}, "5 is not what the quote"),
        (5000000, "5 million", {}, None),
        (5, "", {}, "has no quote in `quote`"),
        (5, "five", {}, "says: no number"),
        ("2026-04-03", "due 3 April 2026", {"written": "date"}, None),
        ("2026-04-03", "due 03/04/2026", {"written": "date"}, None),
        ("2026-04-03", "due 03/04/2026", {"written": "date", "locale": "en_US"}, "says: 2026-03-04"),
        ("2026-04-04", "due 3 April 2026", {"written": "date"}, "2026-04-04 is not what the quote"),
        ("soon", "due 3 April 2026", {"written": "date"}, "expected a date"),
    ],
)
def test_a_value_must_be_what_its_quote_says(value, quote, spec, reason):
    found = said({"total": value, "quote": quote}, **spec)
    assert found is None if reason is None else reason in found


@pytest.mark.parametrize(
    ("quote", "currency", "right"),
    [("€ 5", "EUR", True), ("5 EUR", "EUR", True), ("$5", "EUR", False), ("$5", "USD", True), ("5", "EUR", False)],
)
def test_money_needs_its_currency_in_the_quote(quote, currency, right):
    found = said({"total": 5, "quote": quote, "cur": currency}, written="money", currency="cur")
    assert (found is None) is right


def test_each_element_of_a_list_has_its_own_quote():
    answer = {"items": [{"total": 5, "quote": "5 EUR"}, {"total": 6, "quote": "7 EUR"}]}
    found = said(answer, field="items.total", quote="items.quote")
    assert found is not None
    assert found.startswith("`items.1.total`: 6 is not what the quote '7 EUR' says: 7")
