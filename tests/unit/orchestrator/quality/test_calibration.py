"""Thresholds keep their promise, spend no more labels than allowed, and are refused where none can be trusted."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from firstline.orchestrator.quality.calibration.bounds import (
    File,
    Source,
    binomial_tails,
    conditional_levels,
    critical_count,
    fewest_draws,
    most_losses,
)
from firstline.orchestrator.quality.calibration.command import calibrate_scores, explain, feasibility, run_scores
from firstline.orchestrator.quality.calibration.methods import conformal_risk_control, learn_then_test, naive
from firstline.orchestrator.quality.calibration.scores import Score, Scores, read_scores, scores_of
from firstline.orchestrator.quality.calibration.threshold import Target
from firstline.orchestrator.quality.calibration.two_stage import search_all, search_two_stage
from firstline.schemas.errors import UserError

HEADER = "id,confidence,cheap_correct,frontier_correct\n"


def graded(rows: int, accuracy: float, seed: int, *, spread: float = 1.5) -> Scores:
    """A source of items whose confidence tells right from wrong, though not always."""
    rng = np.random.default_rng(seed)
    right = rng.random(rows) < accuracy
    return Scores(rng.normal(size=rows) + spread * right, ~right)


def loss_at(scores: Scores, threshold: float | None) -> float:
    return 0.0 if threshold is None else float((scores.loss & (scores.confidence >= threshold)).mean())


# --- bounds ---------------------------------------------------------------------------------------------------------


def test_the_binomial_tail_agrees_with_the_sum_of_its_terms():
    terms = [math.comb(20, k) * 0.1**k * 0.9 ** (20 - k) for k in range(21)]
    assert binomial_tails(20, 0.1) == pytest.approx(np.cumsum(terms))


@pytest.mark.parametrize(
    ("draws", "rate", "level", "most"),
    [
        pytest.param(200, 0.05, 0.1, 5, id="two hundred draws refute five per cent with five losses"),
        pytest.param(45, 0.05, 0.1, 0, id="the fewest draws need a clean record"),
        pytest.param(44, 0.05, 0.1, -1, id="one draw fewer refutes nothing"),
    ],
)
def test_the_critical_count_is_the_last_that_refutes(draws, rate, level, most):
    assert critical_count(draws, rate, level) == most


def test_the_fewest_draws_are_those_at_which_no_loss_refutes():
    fewest = fewest_draws(0.05, 0.1)
    assert critical_count(fewest, 0.05, 0.1) == 0
    assert critical_count(fewest - 1, 0.05, 0.1) == -1


@given(
    planned=st.integers(2, 400),
    share=st.floats(0, 1),
    rate=st.floats(0.005, 0.3),
    level=st.floats(0.01, 0.3),
)
def test_the_conditional_level_is_the_level_on_average_and_falls_with_every_loss(planned, share, rate, level):
    drawn = round(share * planned)
    levels = conditional_levels(Source(rate), planned, drawn, level)
    tails = binomial_tails(drawn, rate)
    assert float(np.diff(tails, prepend=0) @ levels) == pytest.approx(level, rel=1e-6)
    assert (np.diff(levels) <= 1e-12).all()


@given(
    rows=st.integers(20, 300),
    share=st.floats(0.1, 1),
    pilot=st.floats(0.1, 0.9),
    rate=st.floats(0.01, 0.3),
    level=st.floats(0.02, 0.3),
)
def test_the_conditional_level_of_a_file_is_the_level_on_average_over_its_hardest_case(rows, share, pilot, rate, level):
    file = File(rows, rate)
    planned = max(2, round(share * rows))
    drawn = max(1, round(pilot * planned))
    levels = conditional_levels(file, planned, drawn, level)
    assert float(np.diff(file.tails(drawn), prepend=0) @ levels) == pytest.approx(level, rel=1e-5)


@given(rows=st.integers(2, 400), rate=st.floats(0.001, 0.5), data=st.data())
def test_tails_of_a_file_are_those_of_the_hypergeometric_law(rows, rate, data):
    draws = data.draw(st.integers(1, rows))
    bad = math.floor(rate * rows + 1e-9) + 1
    expected = hypergeom.cdf(np.arange(draws + 1), rows, bad, draws)
    assert File(rows, rate).tails(draws) == pytest.approx(expected, abs=1e-9)


def test_a_coin_makes_the_level_of_a_test_exact():
    tails = binomial_tails(300, 0.05)
    coins = (np.arange(2000) + 0.5) / 2000
    reached = [tails[most_losses(tails, 0.1, coin)] for coin in coins]
    assert np.mean(reached) == pytest.approx(0.1, abs=1e-4)
    assert most_losses(tails, 0.1, 1.0) == critical_count(300, 0.05, 0.1)


# --- the search -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accuracy", "spread", "labels", "max_loss"),
    [
        pytest.param(0.75, 1.5, 200, 0.05, id="a fair model"),
        pytest.param(0.6, 0.5, 200, 0.05, id="a weak signal"),
        pytest.param(0.93, 1.0, 100, 0.05, id="few labels"),
        pytest.param(0.85, 1.5, 300, 0.02, id="a strict target"),
    ],
)
def test_the_target_is_missed_in_no_more_than_delta_of_all_files(accuracy, spread, labels, max_loss):
    source = graded(200_000, accuracy, seed=1, spread=spread)
    missed = 0
    for seed in range(300):
        file = graded(1200, accuracy, seed=1000 + seed, spread=spread)
        order = np.random.default_rng(seed).permutation(len(file))
        found = search_two_stage(
            file.confidence, lambda row, file=file: bool(file.loss[row]), order, labels, Target(max_loss, 0.1)
        )
        missed += loss_at(source, found.threshold) > max_loss
    # 300 files: 0.1 plus two standard deviations of the count.
    assert missed / 300 <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / 300)


def test_a_promise_about_the_items_is_kept_for_them_and_reaches_further_than_one_about_the_source():
    missed, shares = 0, ([], [])
    for seed in range(250):
        file = graded(900, 0.75, seed=2000 + seed)
        rng = np.random.default_rng(seed)
        order, coin = rng.permutation(len(file)), rng.random()

        def ask(row, file=file):
            return bool(file.loss[row])

        ends = [
            search_two_stage(file.confidence, ask, order, 200, Target(0.05, 0.1), population=population, coin=coin)
            for population in (File(len(file), 0.05), Source(0.05))
        ]
        missed += loss_at(file, ends[0].threshold) > 0.05
        for share, end in zip(shares, ends, strict=True):
            share.append(1 if end.threshold is None else (file.confidence < end.threshold).mean())
    assert missed / 250 <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / 250)
    assert np.mean(shares[0]) < np.mean(shares[1])


def test_labels_spent_where_they_matter_accept_more_than_as_many_spread_evenly():
    file = graded(1500, 0.75, seed=3)
    ours, plain = [], []
    for seed in range(60):
        order = np.random.default_rng(seed).permutation(len(file))
        found = search_two_stage(file.confidence, lambda row: bool(file.loss[row]), order, 200, Target(0.05, 0.1))
        ours.append(np.inf if found.threshold is None else found.threshold)
        sample = order[:200]
        plain.append(learn_then_test(file.confidence[sample], file.loss[sample], 0.05, 0.1))
    share = [np.mean([(file.confidence < t).mean() for t in thresholds]) for thresholds in (ours, plain)]
    assert share[0] < share[1] - 0.01


@settings(max_examples=150, deadline=None)
@given(
    confidences=st.lists(st.sampled_from([-9999.0, -3.0, -1.0, -0.5, -0.1, 0.0]), min_size=2, max_size=80),
    labels=st.integers(1, 80),
    data=st.data(),
)
def test_no_row_is_asked_twice_nor_more_than_the_budget_and_every_accepted_loss_was_seen(confidences, labels, data):
    confidence = np.array(confidences)
    loss = np.array(data.draw(st.lists(st.booleans(), min_size=len(confidence), max_size=len(confidence))))
    labels = min(labels, len(confidence))
    order = np.random.default_rng(data.draw(st.integers(0, 9))).permutation(len(confidence))
    asked: list[int] = []

    def ask(row: int) -> bool:
        asked.append(row)
        return bool(loss[row])

    found = search_two_stage(confidence, ask, order, labels, Target(0.2, 0.3))
    assert len(asked) == len(set(asked)) == found.labels_used <= labels
    if found.threshold is not None:
        accepted = {row for row in order[: found.drawn] if confidence[row] >= found.threshold}
        assert accepted <= set(asked)


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=200))
def test_with_every_label_the_threshold_is_the_lowest_within_the_critical_count(rows):
    confidence = np.array([float(row[0]) for row in rows])
    loss = np.array([row[1] for row in rows])
    most = critical_count(len(rows), 0.2, 0.3)
    within = [t for t in np.unique(confidence) if (loss & (confidence >= t)).sum() <= most]
    found = search_all(confidence, lambda row: bool(loss[row]), Target(0.2, 0.3))
    assert found.threshold == (min(within) if within else None)
    assert found.threshold == learn_then_test(confidence, loss, 0.2, 0.3)


def test_the_textbook_methods_stop_where_their_counts_say():
    confidence = np.arange(200.0)[::-1]
    loss = np.zeros(200, dtype=bool)
    loss[10::10] = True  # losses number 1, 2, ... at ranks 10, 20, ...
    accepted = {
        method.__name__: int((confidence >= method(confidence, loss, 0.05, 0.1)).sum())
        for method in (naive, conformal_risk_control, learn_then_test)
    }
    assert accepted == {"naive": 110, "conformal_risk_control": 100, "learn_then_test": 60}


# --- the command ----------------------------------------------------------------------------------------------------


def written(tmp_path, text: str):
    path = tmp_path / "scores.csv"
    path.write_text(text)
    return path


def csv_of(scores: Scores) -> str:
    return HEADER + "".join(
        f"{row},{confidence},{int(not loss)},1\n"
        for row, (confidence, loss) in enumerate(zip(scores.confidence, scores.loss, strict=True))
    )


def test_the_answer_has_exactly_the_agreed_fields(tmp_path):
    calibration = run_scores(written(tmp_path, csv_of(graded(600, 0.8, seed=5))), 0.05, 0.1, labels=200, seed=1)
    answer = json.loads(calibration.model_dump_json())
    assert set(answer) == {
        "method",
        "threshold",
        "labels_used",
        "expected_frontier_share",
        "certified_max_loss",
        "delta",
    }
    assert answer["labels_used"] <= 200
    assert 0 < answer["expected_frontier_share"] < 1


def test_a_seed_draws_the_same_rows_again():
    scores = graded(600, 0.8, seed=5)
    first, again, other = (
        calibrate_scores(scores, max_loss=0.05, delta=0.1, labels=100, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("rows", "wrong", "labels"),
    [
        pytest.param(30, 0, None, id="too few labels"),
        pytest.param(300, 300, None, id="all wrong"),
        pytest.param(300, 300, 100, id="all wrong with a budget"),
    ],
)
def test_nothing_is_certified_where_nothing_can_be_and_it_says_what_would_help(rows, wrong, labels):
    scores = Scores(np.arange(float(rows)), np.arange(rows) < wrong)
    calibration = calibrate_scores(scores, max_loss=0.05, delta=0.1, labels=labels)
    assert calibration.threshold is None
    assert calibration.certified_max_loss is None
    assert calibration.expected_frontier_share == 1
    sentence = explain(calibration, max_loss=0.05)
    assert "everything escalates" in sentence
    assert "More labels" in sentence


def test_where_all_are_right_everything_seen_is_accepted():
    scores = Scores(np.arange(200.0), np.zeros(200, dtype=bool))
    assert calibrate_scores(scores, max_loss=0.05, delta=0.1).expected_frontier_share == 0


@pytest.mark.parametrize(
    ("labels", "max_loss", "says"),
    [
        pytest.param(100, 0.05, "with 100 labels a loss of 2.3% is the least", id="enough"),
        pytest.param(100, 0.05, "5.0% needs 45 without a single loss", id="how many it takes"),
        pytest.param(40, 0.05, "5.0% cannot be certified with 40", id="too few"),
    ],
)
def test_what_labels_can_certify_is_said_before_they_are_paid(labels, max_loss, says):
    assert says in feasibility(labels, max_loss=max_loss, delta=0.1)


def test_a_signal_that_is_surest_where_it_is_wrong_is_said_not_to_carry_the_target():
    wrong_on_top = Scores(np.arange(400.0), np.arange(400) >= 300)
    calibration = calibrate_scores(wrong_on_top, max_loss=0.05, delta=0.1)
    assert "cannot carry 5.0%" in explain(calibration, max_loss=0.05, scores=wrong_on_top)
    fair = graded(60, 0.8, seed=3)
    assert "cannot carry" not in explain(calibrate_scores(fair, max_loss=0.02, delta=0.1), max_loss=0.02, scores=fair)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("", "missing id, confidence, cheap_correct", id="an empty file"),
        pytest.param("id,cheap_correct\n1,1\n", "missing confidence", id="a missing column"),
        pytest.param(HEADER, "at least 2 labelled items, got 0", id="no rows"),
        pytest.param(HEADER + "1,nan,1,1\n", "line 2: expected a number as confidence, got nan", id="NaN"),
        pytest.param(HEADER + "1,,1,1\n", "got nothing; where there is none", id="no confidence"),
        pytest.param(HEADER + "1,high,1,1\n", "got high", id="confidence in words"),
        pytest.param(HEADER + "1,inf,1,1\n", "got inf", id="infinite confidence"),
        pytest.param(HEADER + "1,0.5,2,1\n", "expected 0 or 1 as cheap_correct, got 2", id="a label that is none"),
        pytest.param(HEADER + "1,0.5,1,maybe\n", "0 or 1 as frontier_correct", id="an unsure frontier"),
        pytest.param(HEADER + "1,0.5\n2,0.4,1,1\n", "cheap_correct, got nothing", id="a short row"),
        pytest.param(HEADER + "1,.5,1,1\n1,.6,1,1\n", "'1' twice", id="an id twice"),
        pytest.param(HEADER + "1,.5,1,1\n1,.5,0,1\n", "'1' with contradictory labels", id="contradictory gold"),
        pytest.param(HEADER + "1,.5,1,1\n2,.5,0,1\n", "got 0.5 for all 2 items", id="constant confidence"),
    ],
)
def test_bad_input_is_refused_with_what_would_mend_it(tmp_path, text, says):
    with pytest.raises(UserError, match=says.replace("(", r"\(")):
        read_scores(written(tmp_path, text))


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_scores(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UserError, match="CSV in UTF-8"):
        read_scores(tmp_path / "binary.csv")


@pytest.mark.parametrize(
    ("settings_", "says"),
    [
        pytest.param({"max_loss": 5, "delta": 0.1}, "--max-loss between 0 and 1", id="per cent"),
        pytest.param({"max_loss": 0.05, "delta": 0}, "--delta between 0 and 1", id="certainty"),
        pytest.param({"max_loss": 0.05, "delta": 0.1, "labels": 500}, "the file's 100 rows", id="too many labels"),
        pytest.param({"max_loss": 0.05, "delta": 0.1, "labels": 0}, "--labels between 1", id="no labels"),
    ],
)
def test_settings_out_of_range_are_refused(settings_, says):
    with pytest.raises(UserError, match=says):
        calibrate_scores(graded(100, 0.8, seed=1), **settings_)


def test_words_spaces_and_capitals_are_read_and_the_frontier_column_is_optional(tmp_path):
    path = written(tmp_path, " ID , Confidence,cheap_correct\na,-0.3,True\nb,-1e9,false\nc,-inf,0.0\n")
    scores = read_scores(path)
    assert scores.loss.tolist() == [False, True, True]
    assert np.isfinite(scores.confidence).all()
    assert scores.confidence.argmin() == 2


@pytest.mark.parametrize(
    ("cheap", "frontier", "loss"),
    [
        pytest.param(True, True, False, id="both right"),
        pytest.param(False, True, True, id="only the frontier right"),
        pytest.param(False, False, False, id="both wrong"),
        pytest.param(False, None, True, id="frontier unknown"),
    ],
)
def test_a_loss_is_what_the_frontier_would_have_got_right(cheap, frontier, loss):
    row = Score(id="a", confidence=0.1, cheap_correct=cheap, frontier_correct=frontier)
    other = Score(id="b", confidence=0.9, cheap_correct=True)
    assert scores_of([row, other]).loss.tolist() == [loss, False]
