"""The pictures of docs/architecture.md are the code's own states, and the files that it names exist."""

import re
from enum import StrEnum
from pathlib import Path

import pytest

from firstline.schemas.job import ITEM_MOVES, JOB_MOVES
from firstline.schemas.provider_batch import ProviderBatchState
from firstline.schemas.states import BATCH_MOVES, SHARD_MOVES, SUBTASK_MOVES, BatchState, refuse_move

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
_PROVIDER_BATCH = {
    state: frozenset(after for after in ProviderBatchState if state in after.before) for state in ProviderBatchState
}


def drawn(heading: str) -> set[tuple[str, str]]:
    """Return the arrows between two states of one picture."""
    picture = PAGE.partition(f"### {heading}\n")[2].partition("```mermaid\n")[2].partition("```")[0]
    return set(re.findall(r"^ +(\w+) --> (\w+)", picture, flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("heading", "moves"),
    [
        ("Job", JOB_MOVES),
        ("Item", ITEM_MOVES),
        ("Subtask", SUBTASK_MOVES),
        ("Shard", SHARD_MOVES),
        ("Batch", BATCH_MOVES),
        ("Provider batch", _PROVIDER_BATCH),
    ],
)
def test_each_picture_shows_the_moves_that_the_code_allows(heading, moves):
    assert set(moves) == set(type(next(iter(moves))))
    assert drawn(heading) == {(state.value, after.value) for state, allowed in moves.items() for after in allowed}


def test_a_change_of_state_that_is_not_drawn_is_a_bug():
    refuse_move(BATCH_MOVES, to=BatchState.SENT, among=(BatchState.READY,))
    with pytest.raises(ValueError, match="judged may not become sent"):
        refuse_move(BATCH_MOVES, to=BatchState.SENT, among=(BatchState.READY, BatchState.JUDGED))


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_the_files_that_a_page_names_exist(page):
    named = re.findall(
        r"(?<![\w/.])((?:schemas|config|workers|orchestrator)/[\w/]*\w(?:\.py)?)", (ROOT / page).read_text()
    )
    assert len(named) > 20
    missing = {name for name in named if not (ROOT / name).exists() and not (ROOT / f"{name}.py").exists()}
    assert missing == set()


def test_states_are_written_as_text():
    assert all(issubclass(kind, StrEnum) for kind in (BatchState, ProviderBatchState))
