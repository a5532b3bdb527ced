"""Messages that nobody can read: whose they are, and what is told of them."""

import pytest
from pydantic import BaseModel, ValidationError

from firstline.schemas.batch import MESSAGE_VERSION, Trail
from firstline.workers.durability.unread import batch_of, why


def test_a_trail_tells_its_batch_by_how_it_begins():
    trail = Trail(batch="0123456789abcdef", job="j", segment=0, shard=0, tier="cheap")
    assert batch_of(trail.model_dump_json()) == "0123456789abcdef"
    assert batch_of(trail.model_dump_json()[:-1] + ',"more":' + "[" * 100_000) == "0123456789abcdef"


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(f'{{"v":{MESSAGE_VERSION + 1},"id":"0123456789abcdef"}}', id="newer code wrote it"),
        pytest.param('{"v":1,"id":"../../x"}', id="no id of ours"),
        pytest.param("", id="empty"),
        pytest.param(None, id="none"),
        pytest.param(["x"], id="no text"),
    ],
)
def test_what_other_code_wrote_is_nobodys(message):
    assert batch_of(message) is None


def test_what_was_wrong_is_told_without_what_was_said():
    class Model(BaseModel):
        n: int

    with pytest.raises(ValidationError) as caught:
        Model.model_validate({"n": "a secret"})
    assert "secret" not in why(caught.value)
    assert why(caught.value).startswith("n: ")
    assert why(ValueError("a secret")) == "ValueError"
