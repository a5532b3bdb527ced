"""The arithmetic check of the example gsm8k: wrong steps are found, everything else is left alone."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstline.config.catalogue.functions import load

FOLDER = Path(__file__).parents[3] / "examples" / "gsm8k" / "functions"
steps_are_right = load("arithmetic:steps_are_right", folders=(FOLDER,))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("She makes 9 * $2 = $<<9*2=18>>18.", id="an annotated step"),
        pytest.param("The total is 80,000 + 50,000 = $130,000.", id="thousands and dollars"),
        pytest.param("He runs 3 hours * 10 miles/hour = 30 miles.", id="units"),
        pytest.param("20% of 50 = 10 and 80 * 25% = 20", id="percent"),
        pytest.param("(12 / 20) x 100 = 60%", id="a share as percent"),
        pytest.param("2/3 of 60 = 40, and 2 1/2 * 4 = 10", id="fractions"),
        pytest.param("7 / 1/2 = 14", id="a fraction written without spaces"),
        pytest.param("12 (meal) + 5 * 3 (milk) = 27", id="remarks between the figures"),
        pytest.param("60 / 7 = 8.57 miles, 60 / 7 = 8.571428571428571", id="rounded and cut off"),
        pytest.param("4 * 25 cents = $1", id="a change of units"),
        pytest.param("2 + 2 = 4 * 6 = 24", id="steps that run on"),
        pytest.param("- 5 * 2 = 10\n2. 3 + 4 = 7", id="bullets are no minus and no figures"),
        pytest.param("2x + 3 = 13", id="variables are passed over"),
        pytest.param("5 apples - the 3 he ate = 2 apples", id="words that tell are passed over"),
        pytest.param("3 / 0 = 7 and ((2 + = 5", id="what cannot be computed is passed over"),
        pytest.param("The answer is 5.\n#### 5", id="no step at all"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_right_solution_passes(text):
    assert steps_are_right(text, {}) is True


@pytest.mark.parametrize(
    ("text", "computed"),
    [
        pytest.param("<<80000+50000=130>>", "130000", id="in an annotation"),
        pytest.param("The sum is 4 + 20 + 7 + 8 = $49.", "39", id="in the text"),
        pytest.param("110 / 2 + 15 - 5 = 60", "65", id="precedence"),
        pytest.param("7 * (3 + 5) = 63", "56", id="brackets"),
        pytest.param("(12 / 20) x 100 = 55%", "60", id="percent"),
        pytest.param("3 + 4 = 7\n5 * 75 + 120 = 675 + 120 = 795", "495", id="in the middle of a chain"),
        pytest.param("50 / 7 = 7 weeks", "7.14286", id="a whole number that is not the quotient"),
        pytest.param("3 hours * 4 = 15 hours", "12", id="with units"),
        pytest.param("10 − 4 = 5", "6", id="a typographer's minus"),  # noqa: RUF001 - as models write it
    ],
)
def test_a_wrong_step_is_named_with_what_it_comes_to(text, computed):
    said = steps_are_right(text, {})
    assert isinstance(said, str)
    assert said.endswith(f"is {computed}")


@given(
    st.lists(st.tuples(st.sampled_from("+-*"), st.integers(0, 10**7)), min_size=1, max_size=5),
    st.integers(0, 10**7),
    st.booleans(),
)
def test_every_whole_calculation_is_judged_as_python_computes_it(rest, first, grouped):
    figures = [(sign, f"{number:,}" if grouped else str(number)) for sign, number in rest]
    left = f"{first}" + "".join(f" {sign} {number}" for sign, number in figures)
    result = eval(left.replace(",", ""))
    assert steps_are_right(f"So it is {left} = {result}.", {}) is True
    assert steps_are_right(f"So it is {left} = {result + 1}.", {}) is not True


@given(st.text(alphabet="0123456789 .,+-*/()=%$<>xab\n", max_size=120))
def test_it_never_raises(text):
    assert steps_are_right(text, {}) is True or "a step is wrong" in steps_are_right(text, {})
