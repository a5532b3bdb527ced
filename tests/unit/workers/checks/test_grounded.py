"""A text stands in its source when what distinguishes it does."""

import time

import pytest

from firstline.workers.checks.grounded import find

STANDS = [
    ("USD 5", "costs USD 5.", "USD 5"),
    ("$5", "it is $5 now", "$5"),
    ("4.5", "value 4.5 m", "4.5"),
    ("\u22124.5", "temp -4.5 C", "-4.5"),
    ("4.5", "range 3-4.5", "4.5"),
    ("3-4", "pages 3\u20134", "3\u20134"),
    ("ＡＢＣ １２３", "ABC 123", "ABC 123"),
    ("ABC 123", "ＡＢＣ １２３ です", "ＡＢＣ １２３"),
    ("efficient", "an e\ufb03cient way", "e\ufb03cient"),
    ("information", "infor\u00admation", "infor\u00admation"),
    ("information", "infor-\nmation", "infor-\nmation"),
    ("hello world", "Hello,\n  World!", "Hello,\n  World"),
    ("it's", "it\u2019s", "it\u2019s"),
    ("\u201cquoted\u201d", 'a "quoted" word', "quoted"),
    ("हिंदी", "यह हिंदी है", "हिंदी"),
    ("ไทย", "ภาษาไทยครับ", "ไทย"),
    ("10²", "10² m", "10²"),
    ("2024", "on 31.12.2024", "2024"),
    ("café", "cafe\u0301 noir", "cafe\u0301"),
    ("東京", "東京都", "東京"),
    ("Berlin", "Berlin¹ is", "Berlin"),
    ("5%", "5 % of", "5 %"),
    ("1,234.50", "sum: 1,234.50 EUR", "1,234.50"),
    ("Covid 19", "Covid-19", "Covid-19"),
    ("٣", "3 things", "3"),
    ("", "x", ""),
]
DOES_NOT = [
    ("$5", "EUR 5"),
    ("5 $", "5 €"),
    ("> 5", "< 5"),
    ("-4.5", "4.5"),
    ("4.5", "-4.5"),
    ("4.5", "at \u22124.5 °C"),
    ("3.4", "3-4"),
    ("हिंदू", "हिंदी"),
    ("हिद", "हिंदी"),
    ("กา", "กี"),
    ("ก", "กี"),
    ("102", "10²"),
    ("10", "10²"),
    ("5 m", "5 m²"),
    ("120", "1 20"),
    ("234", "1,234"),
    ("1", "1.5"),
    ("4", "4.5"),
    ("5", "4.5"),
    ("rive", "drive"),
    ("12", "123"),
    ("cafe", "café"),
    ("1/2", "1.2"),
    ("10:30", "10.30"),
    ("½", "12"),
    ("≤ 5", "≥ 5"),
    ("±5", "5"),
]


@pytest.mark.parametrize(("text", "source", "there"), STANDS)
def test_what_does_not_distinguish_is_set_aside_and_the_place_is_told(text, source, there):
    place = find(text, source, normalised=True)
    assert place is not None
    assert source[place.start : place.end] == there


@pytest.mark.parametrize(("text", "source"), DOES_NOT)
def test_what_distinguishes_is_kept(text, source):
    assert find(text, source, normalised=True) is None


@pytest.mark.parametrize(("text", "source", "there"), [("5", "a 5.", True), ("A", "a", False), ("4.5", "-4.5", False)])
def test_as_it_stands_means_letter_by_letter(text, source, there):
    assert (find(text, source, normalised=False) is not None) is there


def test_a_long_source_is_looked_through_in_little_time():
    source = "The quick brown fox, 12.5 km jumps over the lazy dog. " * 4_000 + "Straße"
    begun = time.process_time()
    assert find("quick purple", source, normalised=True) is None
    assert find("STRASSE", source, normalised=True) is not None
    assert time.process_time() - begun < 3
