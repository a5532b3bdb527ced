"""Accepted answers that jobs share: by everything that shapes them, and with what they saved on record."""

import asyncio
from dataclasses import replace

import fakeredis
import pytest

from firstline.config.shared_state.keys import Keys
from firstline.schemas.policy import Policy
from firstline.schemas.tier import Model
from firstline.workers.durability import response_cache
from firstline.workers.durability.response_cache import CachedAnswer, ResponseCache, digest_of
from firstline.workers.execution.packing import keys_of
from firstline.workers.providers.fake import say
from firstline.workers.providers.gateway import Call, Reply
from tests.unit.worker_rig import A, B, Gated, Rig, simple, skill, tier

ONE_TRY = skill(policy=Policy(attempts_per_tier=1))


def job(name: str, *texts: str, **changes: object):
    return simple(*texts, **{"cache": True, "id": f"b-{name}", "job": name, **changes})


def test_a_second_job_gets_the_answer_for_nothing_and_says_what_it_saved():
    rig = Rig([say(A, cost_usd=0.25)])
    rig.item(job("one", "x"))
    trail = rig.item(job("two", "x"))
    assert trail.settled[0].value == A
    (attempt,) = trail.attempts
    assert (attempt.from_cache, attempt.cost_usd, attempt.saved_usd, attempt.verdict) == (True, 0.0, 0.25, "accept")


def test_what_an_unpriced_answer_saved_is_unknown():
    rig = Rig([say(A)])
    rig.item(job("one", "x"))
    assert rig.item(job("two", "x")).attempts[0].saved_usd is None


def test_a_job_that_does_not_ask_for_it_neither_reads_nor_writes():
    rig = Rig([say(A), say(A), say(B)])
    rig.item(job("one", "x", cache=False))
    rig.item(job("two", "x"))
    assert rig.item(job("three", "x", cache=False)).settled[0].value == B


def test_an_answer_that_was_not_accepted_is_not_shared():
    rig = Rig([say({"label": "z"}), say(A)])
    rig.item(job("one", "x", of=ONE_TRY))
    assert rig.item(job("two", "x", of=ONE_TRY)).attempts[0].from_cache is False


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(job("two", "y"), id="item"),
        pytest.param(job("two", "x", tier=tier("m2")), id="model"),
        pytest.param(job("two", "x").evolve(tenant="another"), id="tenant"),
        pytest.param(job("two", "x", of=skill(version=2)), id="skill version"),
        pytest.param(job("two", "x", of=skill(instructions="Sort it well.")), id="instructions"),
        pytest.param(job("two", "x", of=skill(params={"temperature": 1})), id="parameters"),
    ],
)
def test_whatever_shapes_an_answer_makes_it_another_one(second):
    rig = Rig([say(A), say(B)])
    rig.item(job("one", "x"))
    assert rig.item(second).settled[0].value == B


CALL = Call(Model(name="m1"), ({"role": "user", "content": "x"},), schema={"type": "object"})


@pytest.mark.parametrize(
    "other",
    [
        replace(CALL, model=Model(name="m2")),
        replace(CALL, model=Model(name="m1", api_base="http://elsewhere/v1")),
        replace(CALL, model=Model(name="m1", params={"seed": 1})),
        replace(CALL, messages=({"role": "user", "content": "y"},)),
        replace(CALL, schema={"type": "array"}),
        replace(CALL, params={"temperature": 0.5}),
        replace(CALL, tools=({"type": "function"},)),
        replace(CALL, top_logprobs=5),
    ],
    ids=["model", "endpoint", "model parameters", "messages", "schema", "parameters", "tools", "log-probabilities"],
)
def test_calls_that_differ_have_different_digests(other):
    assert digest_of(other, "s", tenant="t") != digest_of(CALL, "s", tenant="t")


@pytest.mark.parametrize(
    "same",
    [
        replace(CALL, timeout_s=1.0),
        replace(CALL, model=Model(name="m1", api_key_env="OTHER_KEY")),
        replace(CALL, messages=({"content": "x", "role": "user"},)),
    ],
    ids=["timeout", "key", "order of fields"],
)
def test_what_does_not_shape_an_answer_does_not_matter(same):
    assert digest_of(same, "s", tenant="t") == digest_of(CALL, "s", tenant="t")


def test_an_answer_from_a_pack_is_shared_like_any_other():
    codes = keys_of([{"text": "first"}, {"text": "second"}])
    results = {"results": [{"n": code, "answer": answer} for code, answer in zip(codes, (A, B), strict=True)]}
    rig = Rig([say(results, cost_usd=1.0)])
    packed = skill(pack=2)
    rig.run(job("one", "first", "second", of=packed))
    trail = rig.run(job("two", "second", "first", of=packed))
    assert [item.settled[0].value for item in trail.items] == [B, A]
    assert sum(item.attempts[0].saved_usd for item in trail.items) == pytest.approx(1.0)


def test_without_redis_a_job_pays_as_if_there_were_no_cache():
    rig = Rig(Gated(lambda _: say(A)))
    rig.server.connected = False
    assert rig.item(job("one", "x")).settled[0].value == A


def test_what_is_shared_is_forgotten_after_a_while():
    rig = Rig([say(A)])
    rig.item(job("one", "x"))
    client = fakeredis.FakeRedis(server=rig.server)
    # The answer, and what is known of how old and how large it is.
    keys = client.keys("*cache:*")
    assert len(keys) == 3
    assert all(0 < client.ttl(key) <= 7 * 24 * 3600 for key in keys)


def kept(cache: ResponseCache, *answers: tuple[str, int]) -> dict[str, int]:
    """Keep answers of so many characters, then return how long each is that is found."""

    async def run() -> dict[str, int]:
        for digest, chars in answers:
            cache.keep(digest, CachedAnswer(Reply(text="x" * chars)))
            await cache.written()
        found = {digest: await cache.find(digest) for digest, _ in answers}
        return {digest: len(one.reply.text or "") for digest, one in found.items() if one is not None}

    return asyncio.run(run())


def test_beyond_a_bound_the_oldest_answers_go(monkeypatch):
    monkeypatch.setattr(response_cache, "MOST_BYTES", 3_500)
    client = fakeredis.FakeAsyncRedis(decode_responses=True)
    cache = ResponseCache(client, Keys("t"))
    assert kept(cache, ("a", 1000), ("b", 1000), ("c", 1000)) == {"a": 1000, "b": 1000, "c": 1000}
    assert kept(cache, ("a", 900), ("d", 1000), ("e", 1000)) == {"a": 900, "d": 1000, "e": 1000}
    assert kept(cache, ("b", 10), ("c", 10), *((f"n{n}", 900) for n in range(20))).keys() == {"n17", "n18", "n19"}
    assert kept(cache, ("large", 300_000)) == {}


def test_what_has_expired_is_counted_no_longer(monkeypatch):
    server = fakeredis.FakeServer()
    client = fakeredis.FakeAsyncRedis(server=server, decode_responses=True)
    cache, keys = ResponseCache(client, Keys("t")), Keys("t")
    kept(cache, ("a", 1000))
    plain = fakeredis.FakeRedis(server=server, decode_responses=True)
    plain.zadd(keys.cached("ages"), {"a": 1})
    kept(cache, ("b", 1000))
    assert plain.zrange(keys.cached("ages"), 0, -1) == ["b"]
    assert int(plain.hget(keys.cached("sizes"), "all")) == plain.strlen(keys.cached("b"))
