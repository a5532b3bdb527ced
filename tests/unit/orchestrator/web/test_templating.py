"""Values on the way to a page."""

import pytest

from firstline.orchestrator.web.templating import left, prose


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("nothing to type", "nothing to type", id="plain"),
        pytest.param("`a == 1` is not true", "<code>a == 1</code> is not true", id="backticks"),
        pytest.param(
            "start one: firstline worker --tier gpu",
            "start one: <code>firstline worker <span>--tier</span> gpu</code>",
            id="a command at the end",
        ),
        pytest.param(
            "no `firstline run` here; wait", "no <code>firstline run</code> here; wait", id="a command within"
        ),
        pytest.param("an odd ` alone", "an odd ` alone", id="cut off"),
        pytest.param("`<b>` & <i>", "<code>&lt;b&gt;</code> &amp; &lt;i&gt;", id="markup is escaped"),
    ],
)
def test_what_is_typed_stands_as_code(text, shown):
    assert prose(text) == shown


@pytest.mark.parametrize(("left_s", "said"), [(0.2, "1 s"), (44.9, "45 s"), (59.7, "1 min 00 s"), (216, "3 min 36 s")])
def test_time_left_is_no_more_exact_than_anybody_knows(left_s, said):
    assert left(left_s) == said
