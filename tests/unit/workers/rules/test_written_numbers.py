"""Numbers and dates as people write them."""

from datetime import date
from decimal import Decimal

import pytest

from firstline.workers.rules.written_dates import dates_in, read_date
from firstline.workers.rules.written_numbers import mentions, read_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.234,56", "1234.56"),
        ("1,234.56", "1234.56"),
        ("1\u202f234", "1234"),
        ("1'234.50", "1234.50"),
        ("5 million", "5000000"),
        ("5 Mio. EUR", "5000000"),
        ("(1,234.5)", "-1234.5"),
        ("€ 1.234,56", "1234.56"),
        ("\u22125", "-5"),
        ("12,5", "12.5"),
        ("1,23,456", "123456"),
        ("1.234.567", "1234567"),
        ("-3%", "-3"),
        ("3k", "3000"),
        ("2.5M", "2500000"),
        ("762 M&Ms", "762"),
        ("3 K's", "3"),
        ("2 M in all", "2000000"),
        ("１２３", "123"),
        ("٣", "3"),
        ("1e5", "100000"),
        ("EUR5", "5"),
        ("$-4.50", "-4.50"),
        ("-$4.50", "-4.50"),
        ("0.125", "0.125"),
        (".5", "0.5"),
        ("1234,567", "1234.567"),
    ],
)
def test_a_number_is_read_however_it_is_written(text, value):
    assert read_number(text) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1.234", "may be 1.234 or 1234; name the locale"),
        ("1,234", "may be 1234 or 1.234; name the locale"),
        ("A4", "holds no number"),
        ("1.2.3", "holds no number"),
        ("3 and 4", "holds 2 numbers"),
        ("none", "holds no number"),
    ],
)
def test_what_cannot_be_read_is_named(text, reason):
    assert reason in str(read_number(text))


def test_a_locale_decides():
    assert read_number("1.234", locale="de") == 1234
    assert read_number("1,234", locale="en") == 1234
    assert read_number("1,234", locale="fr") == Decimal("1.234")
    assert "holds no number" in str(read_number("1.234,5", locale="en"))
    with pytest.raises(ValueError, match="no locale"):
        read_number("1", locale="xx_YY")


def test_numbers_are_found_where_they_stand_and_names_and_dates_are_none():
    text = "Total 1,234.56 EUR, 3-4 and 5\u201310 on 31.12.2024, x2 and -7 (8)"
    found = list(mentions(text))
    assert [str(mention.value) for mention in found] == ["1234.56", "3", "4", "5", "10", "-7", "8"]
    assert text[found[0].start : found[0].end] == "1,234.56"


def test_a_long_text_takes_time_in_proportion():
    assert sum(1 for _ in mentions("12,5 und 3.000 Stück; " * 20_000)) == 40_000


@pytest.mark.parametrize(
    ("text", "locale"),
    [
        ("2026-04-03", None),
        ("2026-04-03T10:00:00Z", None),
        ("3 April 2026", None),
        ("April 3rd, 2026", None),
        ("03.04.2026", None),
        ("3.4.26", None),
        ("03/04/2026", "en_GB"),
        ("04/03/2026", "en_US"),
        ("3 de abril de 2026", None),
        ("3. April 2026", None),
        ("3 avril 2026", None),
        ("2026年4月3日", None),
    ],
)
def test_a_date_is_read_however_it_is_written(text, locale):
    assert read_date(text, locale=locale) == date(2026, 4, 3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("03/04/2026", "name the locale"),
        ("31.02.2026", "no date of the calendar"),
        ("3 Foo 2026", "no month"),
        ("soon", "no date that can be read"),
    ],
)
def test_a_date_that_cannot_be_read_is_named(text, reason):
    assert reason in str(read_date(text))


def test_dates_are_found_in_a_text():
    assert dates_in("due on 3 April 2026 or 2026-05-01") == ([date(2026, 4, 3), date(2026, 5, 1)], [])
    assert dates_in("due 03/04/2026")[0] == [date(2026, 3, 4), date(2026, 4, 3)]
    assert dates_in("due 03/04/2026", locale="en_GB")[0] == [date(2026, 4, 3)]
