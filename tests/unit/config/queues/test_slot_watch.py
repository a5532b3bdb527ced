"""How long messages hold their slots, and what follows."""

import subprocess
import sys
from dataclasses import dataclass

from firstline.config.queues.slot_watch import STUCK, SlotWatch


@dataclass(frozen=True)
class Held:
    id: str
    name: str = "firstline.judge"


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def watching(*held: Held, **options):
    clock, messages = Clock(), list(held)
    return SlotWatch(180.0, held=lambda: messages, clock=clock, **options), clock, messages


def test_a_message_is_overdue_after_its_time_by_a_clock_that_nobody_sets():
    watch, clock, _ = watching(Held("a"))
    assert watch.overdue() == []
    clock.now_s = 180.0
    assert watch.overdue() == []
    clock.now_s = 181.0
    assert watch.overdue() == [Held("a")]


def test_a_slot_that_was_given_back_begins_anew():
    watch, clock, messages = watching(Held("a"))
    watch.overdue()
    messages.clear()
    clock.now_s = 100.0
    watch.overdue()
    messages.append(Held("a"))
    clock.now_s = 200.0
    assert watch.overdue() == []


def test_a_task_may_have_a_time_of_its_own():
    watch, clock, _ = watching(Held("a", "slow"), slow_s={"slow": 3600.0})
    watch.overdue()
    clock.now_s = 1000.0
    assert watch.overdue() == []


def test_a_full_process_moves_while_new_messages_come():
    watch, clock, messages = watching(Held("a"), Held("b"), quiet_s=30.0)
    assert watch.moves()
    clock.now_s = 31.0
    assert not watch.moves(), "the same two for half a minute"
    messages[0] = Held("c")
    assert watch.moves()


def test_the_calls_of_a_worker_may_take_as_long_as_a_slot_is_theirs():
    watch, clock, _ = watching(Held("a"))
    assert watch.moves()
    clock.now_s = 179.0
    assert watch.moves()


def test_nobody_is_overdue_where_nothing_is_held():
    watch, _, _ = watching()
    assert watch.overdue() == []
    assert watch.moves()


#: As in a worker: what is written to standard error becomes a line of its log.
_STUCK = """
import logging, sys
from celery.utils.log import LoggingProxy
from firstline.config.queues.slot_watch import end_process
sys.stderr = LoggingProxy(logging.getLogger("celery.redirected"), "WARNING")
end_process(())
"""


def test_a_stuck_process_says_where_its_threads_stand_and_ends_though_celery_has_its_standard_error():
    ended = subprocess.run([sys.executable, "-c", _STUCK], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == STUCK
    assert "end_process" in ended.stderr
