"""Spans, as an in-memory exporter sees them."""

from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from firstline.config.telemetry.otel import JobIds, Tracer
from firstline.config.telemetry.tracing import is_wanted
from firstline.orchestrator.engine.tracing import judge_span
from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.batch import Trail
from firstline.schemas.tier import Model
from firstline.workers.execution.tracing import batch_span, call_attributes, call_span, reply_attributes
from firstline.workers.providers.gateway import Call, Reply
from tests.unit.worker_rig import A, Gated, Rig, simple, tier

CALL = Call(model=Model(name="openai/m"), messages=())
TRAIL = Trail(batch="b1", job="j1", segment=0, shard=0, tier="cheap", items=())


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter):
    return make(exporter)


def make(exporter, **options) -> Tracer:
    provider = TracerProvider(id_generator=JobIds(), **options)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracer(provider, "t")


def a_batch():
    return simple("SECRET one", "SECRET two")


def test_every_process_finds_the_same_trace_for_a_job(exporter) -> None:
    here, there, elsewhere = make(exporter), make(exporter), Tracer(TracerProvider(), "another")
    assert here.place("j1") == there.place("j1")
    assert len({here.place("j1").trace_id, here.place("j2").trace_id, elsewhere.place("j1").trace_id}) == 3


def test_the_root_has_the_ids_that_all_others_hang_below(tracer, exporter) -> None:
    with judge_span(tracer, TRAIL):
        pass
    began = datetime.now(UTC) - timedelta(seconds=5)
    tracer.root("j1", "job w", {"firstline.job": "j1"}, began=began)
    judged, root = exporter.get_finished_spans()
    assert root.parent is None
    assert judged.parent.span_id == root.context.span_id == tracer.place("j1").span_id
    assert judged.context.trace_id == root.context.trace_id
    assert judged.context.span_id != root.context.span_id
    assert (root.end_time - root.start_time) / 1e9 == pytest.approx(5, abs=1)


def test_calls_hang_below_their_batch_and_tell_nothing_that_was_said(tracer, exporter) -> None:
    gateway = Gated(
        lambda call: Reply(text="SECRET", value=A, usage=Usage(input_tokens=7, output_tokens=3), cost_usd=0.5)
    )
    with batch_span(tracer, a_batch()):
        Rig(gateway).run(a_batch(), before=lambda worker: setattr(worker, "tracer", tracer))
    *calls, around = exporter.get_finished_spans()
    assert [call.name for call in calls] == ["chat m1", "chat m1"]
    assert {call.parent.span_id for call in calls} == {around.context.span_id}
    assert {span.context.trace_id for span in (*calls, around)} == {tracer.place("j1").trace_id}
    assert around.name == "batch cheap"
    assert dict(around.attributes)["firstline.subtasks"] == 2
    about = dict(calls[0].attributes)
    assert calls[0].kind is SpanKind.CLIENT
    assert about["gen_ai.operation.name"] == "chat"
    assert about["gen_ai.usage.input_tokens"] == 7
    assert about["firstline.cost_usd"] == 0.5
    assert "SECRET" not in "".join(span.to_json() for span in (*calls, around))


def test_a_reply_that_is_an_error_marks_its_span(tracer, exporter) -> None:
    with call_span(tracer, CALL, tier(), a_batch()) as tell:
        tell(Reply(error=ErrorKind.RATE, detail="SECRET"))
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "rate"
    assert "SECRET" not in span.to_json()


def test_an_exception_marks_its_span_by_its_type_alone(tracer, exporter) -> None:
    with pytest.raises(ValueError, match="SECRET"), judge_span(tracer, TRAIL):
        raise ValueError("SECRET")
    (span,) = exporter.get_finished_spans()
    assert span.attributes["error.type"] == "ValueError"
    assert "SECRET" not in span.to_json()


def test_a_sampler_that_drops_a_trace_drops_all_of_it(exporter) -> None:
    tracer = make(exporter, sampler=ParentBased(ALWAYS_OFF))
    with judge_span(tracer, TRAIL):
        pass
    tracer.root("j1", "job w", {}, began=datetime.now(UTC))
    assert exporter.get_finished_spans() == ()


@pytest.mark.parametrize(
    ("name", "provider", "model"),
    [
        ("openai/gpt-x", "openai", "gpt-x"),
        ("gpt-x", "openai", "gpt-x"),
        ("bedrock/anthropic.claude", "aws.bedrock", "anthropic.claude"),
        ("vertex_ai/gemini", "gcp.vertex_ai", "gemini"),
        ("openrouter/a/b", "openrouter", "a/b"),
    ],
)
def test_providers_have_the_names_of_the_conventions(name: str, provider: str, model: str) -> None:
    told = call_attributes(Call(model=Model(name=name), messages=()))
    assert (told["gen_ai.provider.name"], told["gen_ai.request.model"]) == (provider, model)


def test_a_call_tells_its_parameters_and_its_server_but_no_key_of_either() -> None:
    model = Model(name="openai/m", api_base="http://host:9/v1", params={"temperature": 0.5, "user": "SECRET"})
    told = call_attributes(Call(model=model, messages=({"content": "SECRET"},), params={"max_tokens": 9}, schema={}))
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.output.type": "json",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 9,
        "server.address": "host",
        "firstline.skill": "answer",
    }


def test_what_is_unknown_of_a_reply_is_left_out() -> None:
    assert reply_attributes(Reply()) == {}


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_traces_are_made_only_where_a_collector_is_named(environ: dict[str, str], wanted: bool) -> None:
    assert is_wanted(environ) is wanted


def test_without_a_tracer_spans_are_shared_and_do_nothing() -> None:
    assert batch_span(None, a_batch()) is batch_span(None, a_batch())
    with call_span(None, CALL, tier(), a_batch()) as tell:
        tell(Reply())
