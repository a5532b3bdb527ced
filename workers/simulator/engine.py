"""Decides what becomes of each request: which fault strikes, what is answered, what it costs."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from firstline.schemas.attempt import TokenLogprob, Usage
from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Lane
from firstline.workers.simulator import logprobs, responses
from firstline.workers.simulator.answers import SimulatedAnswer, compose, cut, replay, spoil
from firstline.workers.simulator.buckets import Limiter
from firstline.workers.simulator.chat import Chat, read_chat, without_unsupported
from firstline.workers.simulator.latency import RecordedLatency
from firstline.workers.simulator.prefixes import MarkedPrefixes, PrefixCache
from firstline.workers.simulator.recordings import load_recordings
from firstline.workers.simulator.script import Answer, Fault, FaultKind, Rule, Script
from firstline.workers.simulator.tokens import CHARS_PER_TOKEN, count_text

#: Tokens reserved for an answer against tokens per minute when the request sets no maximum.
_RESERVED_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the server is to do with a request."""

    status: int
    body: JsonObject
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    #: `drop` or `hang`: there is no response.
    silence: FaultKind | None = None
    model: str = ""
    fault: FaultKind | None = None
    #: What the call costs; None: nothing was paid.
    paid: Usage | None = None
    #: The lane that it was answered on; None: the request named none.
    lane: Lane | None = None
    key: str = ""

    def charges(self) -> dict[str, object]:
        """Return what the ledger is told of a paid call."""
        paid = self.paid or Usage()
        return {
            "key": self.key,
            "input_tokens": paid.input_tokens or 0,
            "cached_tokens": paid.cached_tokens or 0,
            "cache_write_tokens": paid.cache_write_tokens or 0,
            "output_tokens": paid.output_tokens or 0,
            "service_tier": self.lane,
            "delay_s": round(self.delay_s, 6),
            "fault": self.fault,
        }


class Engine:
    """Plays a script; not for several threads at once."""

    def __init__(self, script: Script, clock: Callable[[], float] = time.monotonic) -> None:
        self.script = script
        self._recordings = load_recordings(script.recordings)
        self._truth = load_recordings(script.truth)
        self._prefixes = PrefixCache()
        self._marked = MarkedPrefixes()
        self._clock = clock
        self._limiters: dict[str, Limiter] = {}
        self._calls: Counter[tuple[str, Lane | None]] = Counter()
        self._repeats: Counter[tuple[str, str]] = Counter()

    def answer(self, body: JsonObject, *, limited: bool = True) -> Outcome:
        """Answer one request; `limited=False` leaves the limits per minute out (the Batch API has its own)."""
        chat = read_chat(body)
        if isinstance(chat, str):
            return _refuse(400, chat, "invalid_request_error")
        rule = self.script.rule(chat.model) or (Rule() if self.script.recordings else None)
        if rule is None:
            return _refuse(
                404,
                f"The model `{chat.model}` does not exist in this script",
                "invalid_request_error",
                "model_not_found",
            )
        return self._play(chat, rule, limited=limited)

    def _play(self, chat: Chat, rule: Rule, *, limited: bool) -> Outcome:
        random = self._random(chat)
        fault = self._strike(chat, rule, random)
        limiter = self._limiter(chat.model, rule)
        if (refused := _refused_by(fault, chat, rule)) is not None:
            return _with(refused, chat, limiter.headers())
        taken = without_unsupported(chat, rule)
        if isinstance(taken, str):
            return _with(_refuse(400, taken, "invalid_request_error", param="response_format"), chat, limiter.headers())
        wait = limiter.take(chat.prompt_tokens + (chat.max_tokens or _RESERVED_TOKENS)) if limited else 0
        if wait > 0:
            return _with(_rate_limited(wait, limiter), chat, limiter.headers())
        said = self._say(taken, rule, random)
        if said is None:
            return _with(
                _refuse(404, _miss(chat), "invalid_request_error", "recording_not_found"), chat, limiter.headers()
            )
        return self._respond(taken, rule, random, said, fault)

    def _respond(self, chat: Chat, rule: Rule, random: Random, said: SimulatedAnswer, fault: Fault | None) -> Outcome:
        kind = fault.kind if fault else None
        said = _limited(spoil(said, kind) if kind else said, chat)
        tokens = _tokens(chat, said, rule, random) if chat.logprobs else None
        delay_s = _delay(rule, said, random)
        usage = self._usage(chat, said, rule, delay_s)
        shown = _shown(usage, kind)
        lane = None if chat.lane is None else chat.lane if chat.lane in rule.lanes else Lane.STANDARD
        body = responses.completion(
            chat, said, shown, lane, logprobs.render(tokens, chat.top_logprobs) if tokens is not None else None
        )
        return Outcome(
            status=200,
            body=body,
            headers=self._limiter(chat.model, rule).headers(),
            delay_s=delay_s,
            model=chat.model,
            fault=kind,
            paid=usage,
            lane=lane,
            key=chat.key,
        )

    def _say(self, chat: Chat, rule: Rule, random: Random) -> SimulatedAnswer | None:
        """Return a recorded answer, or else one by the rule; None where the script has neither."""
        if (recording := self._recordings.find(chat.model, chat.key, *chat.users)) is not None:
            return replay(recording)
        if rule.answer is None and self.script.recordings:
            return None
        if chat.may_call and chat.rounds < len(rule.tool_calls):
            return SimulatedAnswer("", tool_calls=(rule.tool_calls[chat.rounds],))
        return compose(rule.answer or Answer(), chat, random, seed=self.script.seed, truth=self._truth)

    def _usage(self, chat: Chat, said: SimulatedAnswer, rule: Rule, delay_s: float) -> Usage:
        recorded = said.recording.usage if said.recording else None
        if recorded is not None and None not in (recorded.input_tokens, recorded.output_tokens):
            return recorded
        cached, written = self._cached(chat, rule, delay_s)
        sent = recorded.input_tokens if recorded and recorded.input_tokens is not None else chat.prompt_tokens
        given = recorded.output_tokens if recorded and recorded.output_tokens is not None else _output_tokens(said)
        return Usage(
            input_tokens=sent,
            cached_tokens=min(cached, sent),
            cache_write_tokens=min(written, sent),
            output_tokens=given,
            reasoning_tokens=0,
        )

    def _cached(self, chat: Chat, rule: Rule, delay_s: float) -> tuple[int, int]:
        """Return how many tokens of a prompt the cache serves, and how many are written to it at a price."""
        least = rule.cache_from_tokens
        if least is None:
            return 0, 0
        if chat.marked is None:
            is_kept = rule.cache_unmarked and not chat.only_marked
            return (self._prefixes.cached_tokens(chat.model, chat.prompt, at_least=least) if is_kept else 0), 0
        tokens, now = count_text(chat.marked), self._clock()
        if tokens < least:
            return 0, 0
        is_read = self._marked.is_read(
            chat.model, chat.marked, now=now, answered_at=now + delay_s, life_s=rule.cache_life_s
        )
        return (tokens, 0) if is_read else (0, tokens)

    def _random(self, chat: Chat) -> Random:
        """Return the luck of this request, which no order of arrival changes: only how often the same one came."""
        self._repeats[chat.model, chat.key] += 1
        nth = 1 if self.script.steady else self._repeats[chat.model, chat.key]
        return Random(f"{self.script.seed}:{chat.model}:{chat.key}:{nth}")

    def _strike(self, chat: Chat, rule: Rule, random: Random) -> Fault | None:
        """Return the first fault that strikes this call."""
        self._calls[chat.model, None] += 1
        if chat.lane is not None:
            self._calls[chat.model, chat.lane] += 1
        concerned = (fault for fault in rule.faults if fault.service_tier in (None, chat.lane))
        return next(
            (
                fault
                for fault in concerned
                if fault.may_strike(self._calls[chat.model, fault.service_tier]) and random.random() < fault.probability
            ),
            None,
        )

    def _limiter(self, model: str, rule: Rule) -> Limiter:
        if model not in self._limiters:
            self._limiters[model] = Limiter(rule.limits)
        return self._limiters[model]


def _refused_by(fault: Fault | None, chat: Chat, rule: Rule) -> Outcome | None:
    """Return the outcome where a fault, or the model's context, leaves no answer."""
    if rule.context_tokens is not None and chat.prompt_tokens + (chat.max_tokens or 0) > rule.context_tokens:
        return _too_long(chat, rule.context_tokens)
    if fault is None:
        return None
    match fault.kind:
        case FaultKind.HANG | FaultKind.DROP:
            return Outcome(0, {}, silence=fault.kind, fault=fault.kind, delay_s=fault.seconds)
        case FaultKind.CONTEXT_LENGTH:
            return _too_long(chat, chat.prompt_tokens - 1)
        case kind if kind in _ERRORS:
            status, message, error_type, code = _ERRORS[kind]
            headers = {} if fault.retry_after_s is None else {"retry-after": f"{fault.retry_after_s:g}"}
            return Outcome(status, responses.problem(message, error_type, code), headers, fault=kind)
        case _:
            return None


_ERRORS: dict[FaultKind, tuple[int, str, str, str | None]] = {
    FaultKind.RATE_LIMIT: (429, "Rate limit reached for requests", "requests", "rate_limit_exceeded"),
    FaultKind.QUOTA: (
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        "insufficient_quota",
    ),
    FaultKind.AUTH: (401, "Incorrect API key provided", "invalid_request_error", "invalid_api_key"),
    FaultKind.BAD_REQUEST: (400, "Unrecognized request argument supplied", "invalid_request_error", None),
    FaultKind.NOT_FOUND: (
        404,
        "The model does not exist or you do not have access to it.",
        "invalid_request_error",
        "model_not_found",
    ),
    FaultKind.SERVER_ERROR: (500, "The server had an error while processing your request", "server_error", None),
    FaultKind.OVERLOADED: (503, "The engine is currently overloaded, please try again later", "server_error", None),
    # OpenAI's words.
    FaultKind.LANE_FULL: (
        429,
        "Resource unavailable: flex processing has no capacity for this request right now.",
        "resource_unavailable",
        "resource_unavailable",
    ),
    FaultKind.CONTENT_FILTER: (
        400,
        "Your request was rejected as a result of our safety system.",
        "invalid_request_error",
        "content_policy_violation",
    ),
}


def _too_long(chat: Chat, limit: int) -> Outcome:
    asked = f"your messages resulted in {chat.prompt_tokens} tokens"
    message = f"This model's maximum context length is {limit} tokens. However, {asked}."
    body = responses.problem(message, "invalid_request_error", "context_length_exceeded", "messages")
    return Outcome(400, body, fault=FaultKind.CONTEXT_LENGTH)


def _rate_limited(wait_s: float, limiter: Limiter) -> Outcome:
    body = responses.problem(
        f"Rate limit reached. Please try again in {wait_s:.3f}s.", "requests", "rate_limit_exceeded"
    )
    return Outcome(429, body, limiter.headers() | {"retry-after": f"{wait_s:.3f}"})


def _refuse(status: int, message: str, kind: str, code: str | None = None, param: str | None = None) -> Outcome:
    return Outcome(status, responses.problem(message, kind, code, param))


def _with(outcome: Outcome, chat: Chat, headers: dict[str, str]) -> Outcome:
    return Outcome(
        outcome.status,
        outcome.body,
        headers | outcome.headers,
        outcome.delay_s,
        outcome.silence,
        chat.model,
        outcome.fault,
        key=chat.key,
    )


def _miss(chat: Chat) -> str:
    return f"No recording matches: model {chat.model}, messages {chat.key}, last user message {chat.last_user!r:.120}"


def _limited(said: SimulatedAnswer, chat: Chat) -> SimulatedAnswer:
    """Cut an answer that is longer than the request allows."""
    too_long = chat.max_tokens is not None and said.recording is None and count_text(said.text) > chat.max_tokens
    return cut(said, (chat.max_tokens or 0) * CHARS_PER_TOKEN) if too_long else said


def _tokens(chat: Chat, said: SimulatedAnswer, rule: Rule, random: Random) -> list[TokenLogprob]:
    if said.recording is not None and said.recording.logprobs:
        return list(said.recording.logprobs)
    return logprobs.draw(said.text, chat.schema, rule.confidence, random, right=said.right)


def _output_tokens(said: SimulatedAnswer) -> int:
    return count_text(said.text) + sum(count_text(f"{call.name}{call.arguments}") for call in said.tool_calls)


def _shown(usage: Usage, fault: FaultKind | None) -> JsonObject | None:
    match fault:
        case FaultKind.NO_USAGE:
            return None
        case FaultKind.ZERO_USAGE:
            return responses.render_usage(Usage())
        case _:
            return responses.render_usage(usage)


def _delay(rule: Rule, said: SimulatedAnswer, random: Random) -> float:
    if isinstance(rule.latency, RecordedLatency) and said.recording is not None:
        return (said.recording.latency_s or 0.0) * rule.latency.factor
    return rule.latency.draw(random)
