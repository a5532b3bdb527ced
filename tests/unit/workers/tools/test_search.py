"""Document search finds passages, keeps their ids, and takes any query as words."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstline.workers.tools.base import Place
from firstline.workers.tools.passages import split
from firstline.workers.tools.search import Arguments, Options, call, ensure_index, find


@pytest.fixture
def place(tmp_path: Path) -> Place:
    texts = tmp_path / "texts"
    (texts / "deep").mkdir(parents=True)
    (texts / "fruit.md").write_text(
        "# Fruit\n\nApples grow on trees.\n\n## Citrus\n\nLemons are sour; lemons are yellow.\n"
    )
    (texts / "pep-1.rst").write_text("PEP: 1\nTitle: About Trees\n\nScope\n=====\n\nTrees have leaves. Ünïcode café.\n")
    (texts / "deep" / "fruit.txt").write_text("A lemon tree in the garden.")
    (texts / "ignored.py").write_text("lemon")
    return Place(base=tmp_path, cache=tmp_path / "cache")


OPTIONS = Options(folder="texts")


def ask(place: Place, query: str, **options: object) -> list[dict[str, object]]:
    result = call(Arguments(query=query), Options.model_validate({"folder": "texts", **options}), place)
    assert result.error is None
    assert isinstance(result.value, list)
    return result.value  # type: ignore[return-value]


def test_the_passage_that_says_it_most_comes_first_with_id_title_and_text(place: Place) -> None:
    best = ask(place, "lemons")[0]
    assert best["id"] == "fruit#2"
    assert best["title"] == "Fruit > Citrus"
    assert "yellow" in str(best["text"])


def test_only_text_files_are_searched_and_folders_are_part_of_the_id(place: Place) -> None:
    assert {hit["id"] for hit in ask(place, "lemon")} == {"fruit#2", "deep/fruit#1"}


def test_a_file_whose_name_is_in_no_encoding_is_found_like_others(place: Place) -> None:
    Path(os.fsdecode(bytes(place.base / "texts") + b"/caf\xe9.txt")).write_text("Espresso and lungo.")
    assert [hit["id"] for hit in ask(place, "lungo")] == ["caf\\xe9#1"]


def test_a_title_field_is_the_documents_title(place: Place) -> None:
    assert ask(place, "leaves")[0]["title"] == "About Trees > Scope"


@pytest.mark.parametrize(
    "query",
    [
        '"lemon',
        "lemon AND",
        "NEAR(lemon",
        "lemon*",
        "title:lemon",
        "-lemon",
        "lemon OR",
        "(lemon",
        "^lemon",
        "lemon'; --",
    ],
)
def test_what_fts_takes_for_syntax_is_only_words(place: Place, query: str) -> None:
    assert "fruit#2" in {hit["id"] for hit in ask(place, query)}


@settings(max_examples=60, deadline=None)
@given(query=st.text(max_size=40))
def test_no_query_breaks_the_search(query: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "any-query"
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_text("something")
    result = call(Arguments(query=query), Options(folder="."), Place(base=folder, cache=folder / "cache"))
    assert result.error in {None, "expected a query with at least one word or number"}


def test_accents_do_not_matter(place: Place) -> None:
    assert ask(place, "unicode cafe")[0]["id"] == "pep-1#2"


def test_an_answer_is_cut_at_its_limit_and_says_so(place: Place) -> None:
    (place.base / "texts" / "long.txt").write_text("walnut " * 500)
    result = call(Arguments(query="walnut"), Options(folder="texts", max_chars=300), place)
    assert result.truncated
    assert sum(len(hit["text"]) for hit in result.value) == 300  # type: ignore[index, call-overload, union-attr, arg-type, misc]


def test_a_changed_file_is_found_at_once_and_the_old_index_goes(place: Place) -> None:
    before = ensure_index(OPTIONS, place)
    assert ensure_index(OPTIONS, place) == before
    (place.base / "texts" / "fruit.md").write_text("Only quinces now.")
    assert ask(place, "quinces")[0]["id"] == "fruit#1"
    assert not before.exists()


def test_ids_that_do_not_exist_are_not_found(place: Place) -> None:
    assert set(find(["fruit#2", "fruit#99", "pep-9999#1"], OPTIONS, place)) == {"fruit#2"}


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_a_folder_without_texts_is_an_error_that_names_it(place: Place, folder: str) -> None:
    (place.base / "empty").mkdir()
    result = call(Arguments(query="x"), Options(folder=folder), place)
    assert folder in str(result.error)


def test_two_files_that_differ_in_suffix_keep_different_ids(place: Place) -> None:
    (place.base / "texts" / "fruit.txt").write_text("plums")
    assert ask(place, "plums")[0]["id"] == "fruit.txt#1"


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet="ab .\n#=-", max_size=800), chars=st.integers(10, 100))
def test_passages_keep_every_word_and_none_is_too_long(text: str, chars: int) -> None:
    passages = split("doc", text, chars=chars)
    assert all(0 < len(passage.text) <= chars for passage in passages)
    assert [passage.id for passage in passages] == [f"doc#{n}" for n in range(1, len(passages) + 1)]
    kept = "".join(passage.text + passage.title for passage in passages)
    assert not passages or text.count("b") <= kept.count("b")


def test_sections_and_paragraphs_are_not_mixed() -> None:
    passages = split("doc", "One\n===\n\nfirst\n\nsecond\n\nTwo\n===\n\nthird", chars=200)
    assert [(passage.title, passage.text) for passage in passages] == [
        ("One", "first\n\nsecond"),
        ("One > Two", "third"),
    ]


def test_calls_that_build_the_index_at_the_same_time_do_not_disturb_each_other(place: Place) -> None:
    for number in range(200):
        (place.base / "texts" / f"{number}.txt").write_text(f"word{number} " * 2000)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: ask(place, f"word{number}"), range(8)))
    assert [passages[0]["id"] for passages in found] == [f"{number}#1" for number in range(8)]
