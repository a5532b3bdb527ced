"""The tracer on OpenTelemetry (extra `otel`): every process derives a job's trace from its id, so none hands it on."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

Attributes = Mapping[str, str | int | float | bool | list[str]]

_root: ContextVar[SpanContext | None] = ContextVar("firstline_root", default=None)


class JobIds(RandomIdGenerator):
    """Random ids, but for the root of a job's trace."""

    def generate_trace_id(self) -> int:
        """Return the job's, or a new one."""
        root = _root.get()
        return root.trace_id if root else super().generate_trace_id()

    def generate_span_id(self) -> int:
        """Return the root's, or a new one."""
        root = _root.get()
        return root.span_id if root else super().generate_span_id()


def exporting(service: str) -> TracerProvider:
    """Return a provider that sends to the collector that `OTEL_EXPORTER_OTLP_*` names, and ends with the process."""
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": service}
    provider = TracerProvider(resource=Resource.create(named), id_generator=JobIds())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class Tracer:
    """Makes the spans of jobs. What an exception says may quote an item, so spans tell its type alone."""

    def __init__(self, provider: TracerProvider, namespace: str) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("firstline")
        self._namespace = namespace

    def place(self, job: str) -> SpanContext:
        """Return the root of a job's trace: two digests of its id, sampled or not as the sampler says of that trace."""
        seed = hashlib.sha256(f"{self._namespace}/{job}".encode()).digest()
        trace_id, span_id = int.from_bytes(seed[:16]), int.from_bytes(seed[16:24])
        sampled = self._provider.sampler.should_sample(None, trace_id, "job").decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        return SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)

    @contextmanager
    def within(
        self, name: str, attributes: Attributes, *, job: str | None = None, kind: SpanKind = SpanKind.INTERNAL
    ) -> Iterator[Span]:
        """Yield a span below the current one, or directly below a job's root."""
        parent = None if job is None else trace.set_span_in_context(NonRecordingSpan(self.place(job)), Context())
        with self._tracer.start_as_current_span(
            name, parent, kind, attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except BaseException as error:
                fail(span, type(error).__qualname__)
                raise

    def root(self, job: str, name: str, attributes: Attributes, *, began: datetime) -> None:
        """Write the root of a job's trace, from `began` until now."""
        before = _root.set(self.place(job))
        try:
            span = self._tracer.start_span(name, Context(), SpanKind.SERVER, attributes, start_time=_ns(began))
        finally:
            _root.reset(before)
        span.end()

    def past(self, job: str, name: str, attributes: Attributes, *, began: datetime) -> None:
        """Write a span of a job that took from `began` until now."""
        parent = trace.set_span_in_context(NonRecordingSpan(self.place(job)), Context())
        self._tracer.start_span(name, parent, SpanKind.INTERNAL, attributes, start_time=_ns(began)).end()


def fail(span: Span, kind: str) -> None:
    """Mark a span as failed."""
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def _ns(at: datetime) -> int:
    return int(at.timestamp() * 1e9)
