"""What providers say when they do not answer, as data: status and words -> the kind of fault.

The first row that fits counts; words are looked for in the whole body, in any case. Who is to blame follows from the
kind (`ErrorKind.blame`). Collected from the providers' documentation and from public bug reports, each with a line in
`tests/data/provider_faults.jsonl`.
"""

import re
from dataclasses import dataclass

from firstline.schemas.attempt import ErrorKind

_ANY: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of words."""

    kind: ErrorKind
    words: re.Pattern[str]
    #: HTTP statuses that the words count with; empty: any, or none at all.
    statuses: frozenset[int] = _ANY

    def fits(self, status: int | None, body: str) -> bool:
        """Say whether a response is of this kind."""
        return (not self.statuses or status in self.statuses) and self.words.search(body) is not None


def _row(kind: ErrorKind, *words: str, statuses: tuple[int, ...] = ()) -> Row:
    return Row(kind, re.compile("|".join(words), re.IGNORECASE), frozenset(statuses))


ROWS: tuple[Row, ...] = (
    # What the simulator says when its script has no answer to a prompt: the item's lack, not the model's.
    _row(ErrorKind.INPUT, r"no recording matches"),
    # An answer that the provider itself found not to be the JSON or the tool call asked for: Groq.
    _row(
        ErrorKind.MALFORMED, r"json_validate_failed", r"tool_use_failed", r"failed to (?:generate json|call a function)"
    ),
    # Reasoning that left no room for an answer: OpenAI.
    _row(ErrorKind.TRUNCATED, r"could not finish the message because max_tokens or model output limit was reached"),
    # One request that is larger than a minute's allowance waits for ever: OpenAI (429), Groq (413).
    _row(
        ErrorKind.CONTEXT_LENGTH,
        r"request too large",
        r"(?:input or output tokens|message size) must be reduced",
        r"reduce your message size",
        r"request_too_large",
        r"request (?:exceeds the maximum size|entity too large|body (?:is )?too large)",
        r"payload too large",
        statuses=(400, 413, 422, 429),
    ),
    # Used up for the day or the month, though it is told like a limit per minute.
    _row(
        ErrorKind.QUOTA,
        r"(?:requests?|tokens?|input_token_count)[ _-]?per[ _-]?day(?!\w*[^\"]*try again in)",
        r"PerDay",
        r"free-models-per-day",
        r"tokens per day, please wait",
        r"daily (?:free allocation|limit|quota)",
        r"calls / month",
        r"free_tier[^\"]*limit: 0\b",
        statuses=(403, 429),
    ),
    # A slow lane that is full (OpenAI, Groq), or that the model does not have.
    _row(
        ErrorKind.LANE,
        r"resource[_ ]unavailable",
        r"flex[^.\"]{0,40}(?:capacity|unavailable|not available|full)",
        statuses=(429, 498, 503),
    ),
    _row(ErrorKind.LANE, r"service_?tier", statuses=(400, 422)),
    # Limits per minute, whatever they say of pages where more can be bought: OpenAI, Groq, Gemini, Azure.
    _row(
        ErrorKind.RATE,
        r"rate[ _-]?limit",
        r"(?:per|/)[ _-]?min(?:ute)?\b|PerMinute",
        r"RetryInfo",
        r"retryDelay",
        r"too many (?:requests|tokens, please wait)",
        r"throttl",
        r"slow down",
        r"please (?:retry|try again) (?:in|after) [0-9]",
        r"capacity exceeded",
        r"temporarily rate-limited",
        r"server busy",
        r"model is overloaded",
        statuses=(429, 498),
    ),
    _row(ErrorKind.RATE, r"\bslow down\b", r"throttl", r"server busy, please try again", statuses=(400, 503)),
    # What a person has to pay or to lift.
    _row(
        ErrorKind.QUOTA,
        r"insufficient[ _](?:quota|balance|credits?|funds)",
        r"exceeded[ _](?:your )?current[ _]quota",
        r"billing",
        r"credit balance",
        r"out of credits",
        r"(?:used all|more|negative|run out of)[^.\"]{0,30} credits",
        r"monthly included credits",
        r"(?:spend(?:ing)?|usage|key|budget|consumption)[ _]limits?\b",
        r"token_quota_reached",
        r"arrearage",
        r"recharge",
        r"余额不足",
        r"AllocationQuota",
        r"ServiceQuotaExceeded",
        r"account (?:is )?(?:suspended|not active|has been deactivated)",
        statuses=(400, 401, 402, 403, 412, 429),
    ),
    # Too long for the model.
    _row(
        ErrorKind.CONTEXT_LENGTH,
        r"context[ _](?:length|window)",
        r"context size (?:has been )?exceeded",
        r"(?:available|exceeds?(?: the)?(?: \w+)?) context(?: size)?",
        r"exceed_context_size",
        r"context the overflows",
        r"maximum (?:context|prompt|input|model) length",
        r"(?:prompt|input|request|message)s? (?:is|are|was) too (?:long|large)",
        r"too (?:long|large) for (?:requested |the |this )?model",
        r"(?:longer|greater|larger) than the (?:maximum |model'?s? )*(?:model|context) length",
        r"too many (?:total text bytes|(?:input )?tokens:|tokens in)",
        r"reduce the length",
        r"input token count[^.\"]{0,40} exceeds",
        r"(?:input )?tokens [0-9]* ?cannot exceed",
        r"tokens \+ `?max_new_tokens`? must be",
        r"exceeds? (?:the )?(?:model'?s? )?max(?:imum)?(?:_model_len| number of (?:input )?tokens)",
        r"expected maxLength",
        r"string_above_max_length",
        statuses=(400, 413, 422, 500),
    ),
    # What a provider, or a firewall before it, does not want to see.
    _row(
        ErrorKind.CONTENT_FILTER,
        r"content[ _](?:policy|filter|management|moderation)",
        r"content exists risk",
        r"(?:input|content|prompt|request)[^.\"]{0,20} (?:was |has been )?(?:flagged|blocked|rejected by)",
        r"flagged_input",
        r"safety (?:system|check)",
        r"safety_check_type",
        r"responsible ?ai",
        r"violates? (?:our |the )?(?:usage|content|community)",
        r"data_?inspection_?failed",
        r"inappropriate content",
        r"sensitive (?:content|words?)|new_sensitive",
        r"prohibited[ _]content",
        r"guardrail",
        r"requires moderation",
        r"(?:you have been|request (?:was |has been )?) ?blocked",
        r"attention required",
        r"web application firewall|\bWAF\b",
        r"the request is blocked|access denied[^<]*</h1>[\s\S]{0,400}reference",
        statuses=(400, 403, 406, 422, 446, 451),
    ),
    # Nothing that the model can see of an item's file.
    _row(
        ErrorKind.INPUT,
        r"invalid[ _](?:image|base64|file)",
        r"(?:could not|unable to|failed to) (?:process|decode|download|fetch)[^.\"]{0,20} (?:image|file|media|url)",
        r"image (?:exceeds|dimensions)",
        statuses=(400, 415, 422),
    ),
    # A key that is none, or not for this.
    _row(
        ErrorKind.AUTH,
        r"\b(?:api[ _-]?key|token|credentials?)\b[^.\"]{0,30} (?:not valid|invalid|incorrect|expired|missing)",
        r"(?:incorrect|invalid|expired|missing|no)[ _](?:x-)?(?:api[ _-]?key|auth|token|credentials)",
        r"API_KEY_INVALID",
        r"unauthori[sz]ed",
        r"user location is not supported",
        r"security token",
        statuses=(400, 401, 403, 498),
    ),
    # A model that is not, not any more, or not for this key.
    _row(
        ErrorKind.NOT_FOUND,
        r"model[_ ]not[_ ]found",
        r"(?:does not|do not|don't) have access to (?:the |this )?model",
        r"model[^.\"]{0,60} (?:does not exist|not exist|is not found|was not found|not found|not supported for)",
        r"decommissioned|has been (?:deprecated|retired|shut down)|model_deprecated",
        r"unknown model|no such model|invalid model (?:name|id)|model is not available",
        r"on-demand throughput isn.t supported",
        r"try pulling it first",
        statuses=(400, 403, 404, 410, 422),
    ),
    # A path between us and the provider.
    _row(
        ErrorKind.TIMEOUT,
        r"deadline[ _]exceeded",
        r"(?:request|gateway|endpoint|upstream|model)[^.\"<]{0,20} time(?:d out|out)",
        r"ModelTimeoutException",
        statuses=(408, 499, 500, 502, 503, 504, 524),
    ),
    _row(
        ErrorKind.CONNECTION,
        r"connection error|cannot connect|connection (?:reset|refused|aborted|closed)|server disconnected",
        r"payload is not completed|incomplete (?:read|message|chunked)|peer closed connection",
        r"name or service not known|temporary failure in name resolution|getaddrinfo|nodename nor servname",
        r"certificate verify failed|\[SSL",
    ),
)

BY_STATUS: dict[int, ErrorKind] = {
    400: ErrorKind.BAD_REQUEST,
    401: ErrorKind.AUTH,
    402: ErrorKind.QUOTA,
    403: ErrorKind.AUTH,
    404: ErrorKind.NOT_FOUND,
    407: ErrorKind.CONNECTION,
    408: ErrorKind.TIMEOUT,
    409: ErrorKind.SERVER,
    410: ErrorKind.NOT_FOUND,
    413: ErrorKind.CONTEXT_LENGTH,
    424: ErrorKind.SERVER,
    425: ErrorKind.SERVER,
    429: ErrorKind.RATE,
    446: ErrorKind.CONTENT_FILTER,
    451: ErrorKind.CONTENT_FILTER,
    498: ErrorKind.RATE,
    499: ErrorKind.TIMEOUT,
    504: ErrorKind.TIMEOUT,
    524: ErrorKind.TIMEOUT,
}

#: Codes that stand for a status where a body has them instead of one: Anthropic, Google, OpenAI, MiniMax, Bedrock.
CODES: dict[str, int] = {
    "overloaded_error": 503,
    "api_error": 500,
    "rate_limit_error": 429,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "invalid_request_error": 400,
    "timeout_error": 504,
    "billing_error": 402,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
    "INTERNAL": 500,
    "DEADLINE_EXCEEDED": 504,
    "INVALID_ARGUMENT": 400,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "NOT_FOUND": 404,
    "server_error": 500,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "ThrottlingException": 429,
    "1000": 500,
    "1001": 504,
    "1002": 429,
    "1004": 401,
    "1008": 402,
    "1013": 500,
    "1024": 500,
    "1026": 451,
    "1027": 451,
    "1039": 413,
    "2013": 400,
}
