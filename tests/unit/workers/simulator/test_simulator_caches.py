"""Prompt caches as the simulator plays them: by themselves, or by marks that are found whole or not at all."""

from typing import Any

from firstline.schemas.attempt import Usage
from firstline.workers.simulator.engine import Engine
from firstline.workers.simulator.script import parse_script

#: 1,250 tokens.
SYSTEM = "word " * 1000


class Played:
    """A model with a cache, and a clock that is told."""

    def __init__(self, rule: str = "") -> None:
        self.now = 0.0
        script = f"models: {{m: {{answer: {{kind: fixed, text: yes it is}}, latency: 2, {rule}}}}}"
        self.engine = Engine(parse_script(script), clock=lambda: self.now)

    def ask(self, item: str, *, marked: bool = True, **more: Any) -> tuple[int | None, int | None]:
        """Return the tokens that were read from the cache and written to it."""
        part: dict[str, Any] = {"type": "text", "text": SYSTEM}
        mark = {"prompt_cache_breakpoint": {"mode": "explicit"}} if marked else {}
        messages = [{"role": "system", "content": [{**part, **mark}]}, {"role": "user", "content": item}]
        paid = self.engine.answer({"model": "m", "messages": messages, **more}).paid or Usage()
        return paid.cached_tokens, paid.cache_write_tokens


def test_a_marked_prefix_is_read_from_when_its_first_answer_came_until_it_dies() -> None:
    played = Played("cache_life_s: 100")
    assert played.ask("a") == (0, 1250)
    # The first answer takes 2 s: until then nobody finds anything.
    played.now = 1.0
    assert played.ask("b") == (0, 1250)
    played.now = 90.0
    assert played.ask("c") == (1250, 0)
    # Each read keeps it for another life.
    played.now = 180.0
    assert played.ask("d") == (1250, 0)
    played.now = 300.0
    assert played.ask("e") == (0, 1250)


def test_a_marked_prefix_that_is_too_short_costs_nothing_and_saves_nothing() -> None:
    played = Played("cache_from_tokens: 2048")
    assert [played.ask(item) for item in "aa"] == [(0, 0), (0, 0)]


def test_what_is_not_marked_is_kept_unless_somebody_says_otherwise() -> None:
    played = Played()
    assert played.ask("a", marked=False) == (0, 0)
    assert (played.ask("b", marked=False)[0] or 0) >= 1024
    assert played.ask("c", marked=False, prompt_cache_options={"mode": "explicit"}) == (0, 0)


def test_a_mark_is_no_part_of_what_recordings_know_a_prompt_by() -> None:
    played = Played()
    keys = set()
    for content in (SYSTEM, [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}]):
        messages = [{"role": "system", "content": content}, {"role": "user", "content": "x"}]
        keys.add(played.engine.answer({"model": "m", "messages": messages}).key)
    assert len(keys) == 1
