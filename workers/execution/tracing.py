"""Spans of a worker: a batch, and each call to a model in the words of OpenTelemetry's GenAI conventions."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from firstline.schemas.batch import Batch
from firstline.schemas.plan import StepKind
from firstline.schemas.tier import Tier
from firstline.workers.providers.gateway import Call, Reply

if TYPE_CHECKING:
    from firstline.config.telemetry.otel import Attributes, Tracer

#: litellm's name of a provider -> `gen_ai.provider.name`, where they differ.
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
_PARAMS = {
    "max_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "seed": "gen_ai.request.seed",
}

Tell = Callable[[Reply], None]


def _say_nothing(reply: Reply) -> None:
    """Take a reply that nobody traces."""


_NO_BATCH: AbstractContextManager[None] = nullcontext()
_NO_CALL: AbstractContextManager[Tell] = nullcontext(_say_nothing)


def batch_span(tracer: "Tracer | None", batch: Batch) -> AbstractContextManager[object]:
    """Return the span of a batch, named `plan` where a plan is written; without a tracer it does nothing."""
    if tracer is None:
        return _NO_BATCH
    plans = any(planned.step.kind is StepKind.PLAN for planned in batch.steps)
    return tracer.within("plan" if plans else f"batch {batch.tier.name}", batch_attributes(batch), job=batch.job)


def call_span(tracer: "Tracer | None", call: Call, tier: Tier, batch: Batch) -> AbstractContextManager[Tell]:
    """Return the span of a call, with what it is told of the reply; without a tracer it does nothing."""
    return _NO_CALL if tracer is None else _calling(tracer, call, tier, batch)


@contextmanager
def _calling(tracer: "Tracer", call: Call, tier: Tier, batch: Batch) -> Iterator[Tell]:
    from opentelemetry.trace import SpanKind

    from firstline.config.telemetry.otel import fail

    about = {**call_attributes(call), "firstline.job": batch.job, "firstline.tier": tier.name}
    with tracer.within(f"chat {_split(call.model.name)[1]}", about, kind=SpanKind.CLIENT) as span:

        def tell(reply: Reply) -> None:
            span.set_attributes(reply_attributes(reply))
            if reply.error is not None:
                fail(span, reply.error.value)

        yield tell


def batch_attributes(batch: Batch) -> "Attributes":
    """Return what a batch's span tells: ids and counts, no contents."""
    return {
        "firstline.job": batch.job,
        "firstline.batch": batch.id,
        "firstline.tier": batch.tier.name,
        "firstline.steps": sorted({todo.step for work in batch.work for todo in work.todo}),
        "firstline.subtasks": sum(len(work.todo) for work in batch.work),
    }


def call_attributes(call: Call) -> "Attributes":
    """Return what is known of a call before it is made (GenAI semantic conventions 1.37)."""
    provider, model = _split(call.model.name)
    params = {**call.model.params, **call.params}
    asked = {named: params[name] for name, named in _PARAMS.items() if isinstance(params.get(name), int | float)}
    told: dict[str, str | int | float | bool | list[str]] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.request.model": model,
        "gen_ai.output.type": "text" if call.schema is None else "json",
        "firstline.skill": call.schema_name,
        **asked,  # type: ignore[dict-item] # numbers, as was looked at
    }
    if call.model.api_base is not None and (host := urlsplit(call.model.api_base).hostname) is not None:
        told["server.address"] = host
    return told


def reply_attributes(reply: Reply) -> "Attributes":
    """Return what a reply tells; unknown tokens and dollars are left out."""
    usage = reply.usage
    told: dict[str, str | int | float | list[str] | None] = {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.response.finish_reasons": [reply.finish_reason] if reply.finish_reason else None,
        "firstline.cost_usd": reply.cost_usd,
    }
    return {name: value for name, value in told.items() if value is not None}


def _split(name: str) -> tuple[str, str]:
    """Return the provider and the model of litellm's `provider/model`; OpenAI's may stand without."""
    provider, slash, model = name.partition("/")
    return (provider, model) if slash else ("openai", name)
