"""Keeping a run's answers."""

import asyncio
import multiprocessing

import pytest

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.errors import UserError
from firstline.schemas.tier import Model
from firstline.workers.providers.fake import ScriptedGateway, say
from firstline.workers.providers.gateway import Call, Reply, ToolCall
from firstline.workers.providers.recording import Recording, RecordingGateway, messages_key

LONG = "x" * 20_000


def call_of(text):
    return Call(model=Model(name="openai/small", api_key_env="SOME_KEY"), messages=({"role": "user", "content": text},))


def record(path, calls, replies):
    gateway = RecordingGateway(ScriptedGateway(replies), path)

    async def run():
        return [await gateway.call(call) for call in calls]

    given = asyncio.run(run())
    gateway.close()
    return given


def kept(path):
    return [Recording.model_validate_json(line) for line in path.read_text().splitlines()]


def test_an_answer_is_passed_on_and_kept(tmp_path):
    wish = ToolCall("1", "look_up", {"q": "x"})
    reply = say(
        {"a": 1}, usage=Usage(input_tokens=3, cached_tokens=1, output_tokens=2), tool_calls=(wish,), latency_s=0.25
    )
    call = call_of("q")
    assert record(tmp_path / "r.jsonl", [call], [reply]) == [reply]
    [line] = kept(tmp_path / "r.jsonl")
    assert (line.model, line.key, line.text) == ("openai/small", messages_key(call.messages), '{"a": 1}')
    assert (line.usage, line.finish_reason, line.latency_s) == (reply.usage, "stop", 0.25)
    assert line.tool_calls[0].arguments == {"q": "x"}


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (ErrorKind.RATE, 0),
        (ErrorKind.TIMEOUT, 0),
        (ErrorKind.AUTH, 0),
        (ErrorKind.TRUNCATED, 1),
        (ErrorKind.REFUSED, 1),
    ],
)
def test_only_answers_are_kept(tmp_path, error, lines):
    record(tmp_path / "r.jsonl", [call_of("q")], [Reply(error=error, text="t", detail="d")])
    assert len(kept(tmp_path / "r.jsonl")) == lines


def test_a_refusal_is_kept_as_one(tmp_path):
    record(tmp_path / "r.jsonl", [call_of("q")], [Reply(error=ErrorKind.REFUSED, text="no")])
    assert kept(tmp_path / "r.jsonl")[0].refused


def _write(path, n):
    calls = [call_of(f"{n}-{m}") for m in range(50)]
    record(path, calls, [say(LONG)] * 50)


def test_lines_of_several_processes_do_not_mix(tmp_path):
    path = tmp_path / "r.jsonl"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(path, n)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [line.text for line in kept(path)] == [LONG] * 200


def test_a_file_that_cannot_be_written_is_told_before_any_call(tmp_path):
    with pytest.raises(UserError, match="cannot be written for recording"):
        RecordingGateway(ScriptedGateway([]), tmp_path / "no" / "r.jsonl")
