"""The ledger beside providers' usage exports, in the shapes that they have."""

from datetime import date
from pathlib import Path

import pytest

from firstline.orchestrator.money.bill import Amount, BillLine, compared, read_export
from firstline.schemas.errors import UserError

DAY = date(2026, 11, 24)
OPENAI = """start_time,start_time_iso,model,num_model_requests,input_tokens,input_cached_tokens,output_tokens
1795478400,2026-11-24T00:00:00+00:00,gpt-6-luna-2026-08-01,3,1000,200,50
1795478400,2026-11-24T00:00:00+00:00,gpt-6-luna-2026-08-01,1,500,0,10
1795564800,2026-11-25T00:00:00+00:00,gpt-6.1-sol,1,10,0,10
"""
COSTS = """start_time,amount_value,amount_currency,line_item
1795478400,0.25,usd,"gpt-6-luna-2026-08-01, input"
1795478400,0.50,usd,"gpt-6-luna-2026-08-01, output"
"""
ANTHROPIC = (
    "usage_date_utc,model_version,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
    "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens\n"
    "2026-11-24,claude-haiku-4-5-20251001,100,20,0,300,7\n"
)


def export(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "usage.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "model", "amount"),
    [
        pytest.param(OPENAI, "gpt-6-luna", Amount(calls=4, input_tokens=1500, output_tokens=60), id="OpenAI's usage"),
        pytest.param(COSTS, "gpt-6-luna", Amount(cost_usd=0.75), id="OpenAI's costs"),
        pytest.param(ANTHROPIC, "claude-haiku-4-5", Amount(input_tokens=420, output_tokens=7), id="Anthropic's usage"),
    ],
)
def test_an_export_is_read_by_day_and_model(tmp_path: Path, text: str, model: str, amount: Amount) -> None:
    assert read_export(export(tmp_path, text), since=None, until=DAY) == {(DAY, model): amount}


OURS = Amount(calls=2, input_tokens=100, output_tokens=10, cost_usd=0.5)


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        pytest.param(OURS, OURS, (), id="the same"),
        pytest.param(OURS, Amount(calls=2, cost_usd=0.504), (), id="rounded to the cent, other figures not said"),
        pytest.param(OURS, OURS.evolve(calls=3), ("calls: 2 here, 3 there",), id="a call that nobody booked"),
        pytest.param(OURS, OURS.evolve(cost_usd=0.6), ("cost: $0.5000 here, $0.6000 there",), id="another price"),
        pytest.param(
            OURS.evolve(cost_usd=None), OURS, ("cost: unknown here, $0.5000 there",), id="a price that nobody knows"
        ),
        pytest.param(OURS, None, ("not in the export",), id="only ours"),
        pytest.param(None, OURS, ("not in the ledger",), id="only theirs"),
    ],
)
def test_what_does_not_match_is_told(ours: Amount | None, theirs: Amount | None, words: tuple[str, ...]) -> None:
    sides = [{} if side is None else {(DAY, "m"): side} for side in (ours, theirs)]
    (line,) = compared(*sides)
    assert line == BillLine(day=DAY, model="m", ours=ours, theirs=theirs)
    assert line.differences == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("model,input_tokens\na,1\n", "a column with a day", id="no day"),
        pytest.param("date,input_tokens\n2026-11-24,1\n", "a column with a model", id="no model"),
        pytest.param("date,model\nyesterday,a\n", "line 2: expected a day", id="no date"),
        pytest.param("date,model\n", "expected rows of usage", id="empty"),
    ],
)
def test_what_is_no_export_is_refused_with_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_export(export(tmp_path, text), since=None, until=None)
