"""One subtask's standing is kept in a row, in a value and in a worker: none of them lacks a field that another has."""

from dataclasses import fields

from firstline.orchestrator.core.ladder import Sub
from firstline.orchestrator.store.subtasks import STANDING
from firstline.schemas.batch import PROGRESS
from firstline.workers.execution.attempt_state import AttemptState


def test_the_columns_of_a_standing_are_the_fields_of_its_value_in_their_order():
    assert (*STANDING, "wait_s") == Sub._fields


def test_who_carries_a_subtask_further_has_all_of_its_progress():
    assert {*PROGRESS} <= {*Sub._fields}
    assert {*PROGRESS} <= {field.name for field in fields(AttemptState)}
