import pytest

from firstline.config.json_schema.patterns import weight
from firstline.config.json_schema.validator import Validator


@pytest.mark.parametrize(
    ("pattern", "right", "wrong"),
    [
        (r"^[\p{L}\p{M}' -]+$", "Łukasz Çelik", "R2"),
        (r"^\p{Script=Greek}+$", "αβ", "ab"),
        (r"^(?<year>\d{4})-\k<year>$", "2024-2024", "2024-2025"),
        (r"^(\w)\1$", "aa", "ab"),
        (r"^(?=.*\d)(?=.*[a-z]).{8,}$", "abcdefg1", "abcdefgh"),
        (r"(?<!\d)\d{3}(?!\d)", "a123b", "1234"),
        ("^\\ud83d\\ude00$", "😀", "😁"),
        (r"^[\ud83d\ude00-\ud83d\ude05]$", "😃", "😆"),
        (r"^\u{1F600}$", "😀", "x"),
        (r"^\0$", "\0", "0"),
        (r"^[\b]$", "\b", "b"),
        (r"^a{,3}$", "a{,3}", "aaa"),
        (r"^{a}$", "{a}", "a"),
        (r"^a]$", "a]", "a"),
        (r"^[^]$", "\n", ""),
        (r"^[\d-x]$", "-", "y"),
        (r"^[a&&b]$", "&", "c"),
        (r"^[[]$", "[", "]"),
        (r"^[+--]$", ",", "."),
        (r"^\d$", "3", "٣"),
        (r"^\w$", "e", "é"),
        (r"^.$", "😀", "\u2028"),
        (r"^a$", "a", "a\n"),
        (r"\ba", "ña", "xa"),
        (r"^(?=a)\ba\b(?!b)", "a", "ab"),
        (r"^\s$", "\ufeff", "x"),
        (r"^\cJ$", "\n", "J"),
        (r"\d+\Z", "a12", "12a"),
    ],
)
def test_patterns_mean_what_ecma_262_says(pattern, right, wrong):
    validator = Validator({"pattern": pattern})
    assert validator.is_valid(right)
    assert not validator.is_valid(wrong)


def test_patterns_of_property_names_are_read_alike():
    validator = Validator({"patternProperties": {r"^\p{Lu}\0?$": {"type": "string"}}, "additionalProperties": False})
    assert validator.is_valid({"É": "x"})
    assert not validator.is_valid({"é": "x"})


@pytest.mark.parametrize(
    ("pattern", "most"),
    [
        (r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{12}$", 200),
        (r"^[\p{L}\p{M}' -]+$", 700),
        (r"(?:a|(?<year>\d{4})-.{2,10}){3}", 1_000),
        ("(" * 1_000 + ")" * 1_000, 10),
        ("){9}" * 200_000, 10),
    ],
)
def test_what_people_write_weighs_little(pattern, most):
    assert weight(pattern) <= most
