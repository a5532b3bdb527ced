"""Answers in the shape of each provider, with every kind of usage that it bills."""

from typing import Any

from firstline.schemas.base import JsonObject


def chat(model: str, usage: JsonObject, **more: Any) -> JsonObject:
    """Return a chat completion of OpenAI's shape."""
    message = {"role": "assistant", "content": "ok"}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1790000000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
        **more,
    }


def tokens(
    sent: int,
    got: int,
    *,
    cached: int | None = None,
    written: int | None = None,
    thought: int | None = None,
    **more: Any,
) -> JsonObject:
    """Return a `usage` of OpenAI's shape."""
    into: JsonObject = {"cached_tokens": cached, "cache_write_tokens": written}
    usage: JsonObject = {"prompt_tokens": sent, "completion_tokens": got, "total_tokens": sent + got, **more}
    if cached is not None or written is not None:
        usage["prompt_tokens_details"] = {name: count for name, count in into.items() if count is not None}
    if thought is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": thought}
    return usage


def responses(model: str, *, sent: int, cached: int, written: int = 0, **more: Any) -> JsonObject:
    """Return an answer of OpenAI's Responses API."""
    text = {"type": "output_text", "text": "ok", "annotations": []}
    usage = {
        "input_tokens": sent,
        "output_tokens": 100,
        "total_tokens": sent + 100,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens_details": {"reasoning_tokens": 40},
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1790000000,
        "status": "completed",
        "model": model,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "output": [{"id": "m1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}],
        "usage": usage,
        **more,
    }


def anthropic(model: str, **usage: Any) -> JsonObject:
    """Return a message of Anthropic's."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "ok"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


def gemini(model: str, **usage: Any) -> JsonObject:
    """Return an answer of Gemini's `generateContent`."""
    content = {"role": "model", "parts": [{"text": "ok"}]}
    candidate = {"content": content, "finishReason": "STOP", "index": 0}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": "r"}


def converse(**usage: Any) -> JsonObject:
    """Return an answer of Bedrock's Converse."""
    message = {"role": "assistant", "content": [{"text": "ok"}]}
    return {"output": {"message": message}, "stopReason": "end_turn", "metrics": {"latencyMs": 5}, "usage": usage}


FLEX, PRIORITY = {"service_tier": "flex"}, {"service_tier": "priority"}
LUNA, HAIKU, FLASH = "openai/gpt-6-luna", "anthropic/claude-haiku-5-5", "gemini/gemini-3.5-flash-lite"
CLAUDE_ON_AWS, AWS = "bedrock/us.anthropic.claude-haiku-5-5", {"aws_region_name": "us-east-1"}
HOUR = {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 1500}
TEXT, SOUND = {"modality": "TEXT", "tokenCount": 200}, {"modality": "AUDIO", "tokenCount": 800}
ROUTED = {"cost": 0.00123, "is_byok": False, "cost_details": {"upstream_inference_cost": None}}
SEARCHED = {
    "search_context_size": "low",
    "cost": {"input_tokens_cost": 0.001, "output_tokens_cost": 0.0001, "request_cost": 0.005, "total_cost": 0.0061},
}

#: What it shows -> model, parameters, answer.
BILLS: dict[str, tuple[str, JsonObject, JsonObject]] = {
    "OpenAI": (LUNA, {}, chat("gpt-6-luna", tokens(1000, 100))),
    "OpenAI, read from the cache": (LUNA, {}, chat("gpt-6-luna", tokens(5000, 100, cached=4096))),
    "OpenAI, written to the cache": (LUNA, {}, chat("gpt-6-luna", tokens(5000, 100, cached=0, written=4096))),
    "OpenAI, both": (LUNA, {}, chat("gpt-6-luna", tokens(9000, 100, cached=4096, written=2048))),
    "OpenAI, long": (LUNA, {}, chat("gpt-6-luna", tokens(300_000, 100, cached=4096, written=2048, thought=50))),
    "OpenAI, flex": (LUNA, FLEX, chat("gpt-6-luna", tokens(1000, 100, cached=512), service_tier="flex")),
    "OpenAI, flex refused": (LUNA, FLEX, chat("gpt-6-luna", tokens(1000, 100, cached=512), service_tier="default")),
    "OpenAI, flex and long": (LUNA, FLEX, chat("gpt-6-luna", tokens(300_000, 100, written=128), service_tier="flex")),
    "OpenAI, priority": (
        LUNA,
        PRIORITY,
        chat("gpt-6-luna", tokens(1000, 100, cached=512, written=128), service_tier="priority"),
    ),
    "OpenAI, reasoning": ("openai/gpt-6.1-sol", {}, chat("gpt-6.1-sol", tokens(1000, 700, cached=512, thought=600))),
    "OpenAI, sound": (
        "openai/gpt-audio",
        {},
        chat(
            "gpt-audio",
            tokens(
                1000,
                300,
                prompt_tokens_details={"audio_tokens": 600, "cached_tokens": 0},
                completion_tokens_details={"audio_tokens": 200, "reasoning_tokens": 0},
            ),
        ),
    ),
    "OpenAI, Responses": (f"openai/responses/{LUNA[7:]}", {}, responses("gpt-6-luna", sent=5000, cached=4096)),
    "OpenAI, Responses, written": (
        f"openai/responses/{LUNA[7:]}",
        {},
        responses("gpt-6-luna", sent=5000, cached=1000, written=2000),
    ),
    "OpenAI, Responses, flex": (
        f"openai/responses/{LUNA[7:]}",
        FLEX,
        responses("gpt-6-luna", sent=5000, cached=4096, service_tier="flex"),
    ),
    "Anthropic, written for 5 minutes": (
        "anthropic/claude-haiku-4-5",
        {},
        anthropic(
            "claude-haiku-4-5",
            input_tokens=19,
            cache_creation_input_tokens=2000,
            cache_read_input_tokens=37000,
            output_tokens=50,
        ),
    ),
    "Anthropic, written for an hour": (
        "anthropic/claude-haiku-4-5",
        {},
        anthropic(
            "claude-haiku-4-5",
            input_tokens=19,
            cache_creation_input_tokens=2000,
            cache_read_input_tokens=0,
            output_tokens=50,
            cache_creation=HOUR,
        ),
    ),
    "Anthropic, long": (
        HAIKU,
        {},
        anthropic(
            "claude-haiku-5-5",
            input_tokens=150_000,
            cache_creation_input_tokens=2000,
            cache_read_input_tokens=1000,
            output_tokens=50,
            cache_creation=HOUR,
        ),
    ),
    "Anthropic, in one country": (
        "anthropic/claude-sonnet-5-5",
        {},
        anthropic(
            "claude-sonnet-5-5", input_tokens=1500, output_tokens=50, inference_geo="us", service_tier="standard"
        ),
    ),
    "Anthropic, searches": (
        "anthropic/claude-sonnet-5-5",
        {},
        anthropic("claude-sonnet-5-5", input_tokens=1500, output_tokens=50, server_tool_use={"web_search_requests": 2}),
    ),
    "Gemini, thoughts": (
        FLASH,
        {},
        gemini(
            "gemini-3.5-flash-lite",
            promptTokenCount=1000,
            candidatesTokenCount=100,
            thoughtsTokenCount=300,
            totalTokenCount=1400,
        ),
    ),
    "Gemini, cached": (
        FLASH,
        {},
        gemini(
            "gemini-3.5-flash-lite",
            promptTokenCount=5000,
            cachedContentTokenCount=4000,
            candidatesTokenCount=100,
            totalTokenCount=5100,
            promptTokensDetails=[{"modality": "TEXT", "tokenCount": 5000}],
            cacheTokensDetails=[{"modality": "TEXT", "tokenCount": 4000}],
        ),
    ),
    "Gemini, long": (
        "gemini/gemini-3.1-pro-preview",
        {},
        gemini(
            "gemini-3.1-pro-preview",
            promptTokenCount=250_000,
            cachedContentTokenCount=4000,
            candidatesTokenCount=100,
            thoughtsTokenCount=200,
            totalTokenCount=250_300,
        ),
    ),
    "Gemini, flex": (
        FLASH,
        {},
        gemini(
            "gemini-3.5-flash-lite",
            promptTokenCount=1000,
            candidatesTokenCount=100,
            totalTokenCount=1100,
            trafficType="ON_DEMAND_FLEX",
        ),
    ),
    "Gemini, sound": (
        "gemini/gemini-2.5-flash",
        {},
        gemini(
            "gemini-2.5-flash",
            promptTokenCount=1000,
            candidatesTokenCount=100,
            totalTokenCount=1100,
            promptTokensDetails=[TEXT, SOUND],
        ),
    ),
    "DeepSeek": (
        "deepseek/deepseek-v4-flash",
        {},
        chat(
            "deepseek-v4-flash",
            tokens(2000, 300, cached=1500, thought=100, prompt_cache_hit_tokens=1500, prompt_cache_miss_tokens=500),
        ),
    ),
    "DeepSeek, its own words alone": (
        "deepseek/deepseek-v4-flash",
        {},
        chat("deepseek-v4-flash", tokens(2000, 300, prompt_cache_hit_tokens=1500, prompt_cache_miss_tokens=500)),
    ),
    "Mistral": ("mistral/mistral-small-latest", {}, chat("mistral-small-latest", tokens(1000, 100))),
    "Groq": (
        "groq/openai/gpt-oss-20b",
        {},
        chat("openai/gpt-oss-20b", tokens(1000, 100, cached=512, thought=40), service_tier="on_demand"),
    ),
    "MiniMax, long": ("minimax/MiniMax-M3", {}, chat("MiniMax-M3", tokens(600_000, 100, cached=1000))),
    "Qwen, thinking": (
        "dashscope/qwen-plus-2025-04-28",
        {},
        chat("qwen-plus-2025-04-28", tokens(1000, 500, thought=400)),
    ),
    "Qwen, long": ("dashscope/qwen-flash", {}, chat("qwen-flash", tokens(300_000, 500))),
    "Qwen, short": ("dashscope/qwen-flash", {}, chat("qwen-flash", tokens(3000, 500, cached=1000))),
    "OpenRouter": (
        "openrouter/deepseek/deepseek-v4-flash",
        {},
        chat("deepseek/deepseek-v4-flash", tokens(1000, 100, **ROUTED), provider="DeepSeek"),
    ),
    "Perplexity": ("perplexity/sonar", {}, chat("sonar", tokens(1000, 100, **SEARCHED))),
    "xAI": (
        "xai/grok-4.3",
        {},
        chat(
            "grok-4.3",
            {
                "prompt_tokens": 1000,
                "completion_tokens": 100,
                "total_tokens": 1500,
                "prompt_tokens_details": {"text_tokens": 1000, "cached_tokens": 500},
                "completion_tokens_details": {"reasoning_tokens": 400},
            },
        ),
    ),
    "xAI, its own figure": ("xai/grok-4.3", {}, chat("grok-4.3", tokens(1000, 100, cost_in_usd_ticks=37_756_000))),
    "Azure, by the model behind a deployment": (
        "azure/my-deployment",
        {"api_version": "2025-04-01-preview"},
        chat("gpt-4.1-2025-04-14", tokens(1000, 100, cached=512)),
    ),
    "Together": (
        "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo",
        {},
        chat("meta-llama/Llama-3.3-70B-Instruct-Turbo", tokens(1000, 100)),
    ),
    "Fireworks, cached": (
        "fireworks_ai/accounts/fireworks/models/deepseek-v3p1",
        {},
        chat("accounts/fireworks/models/deepseek-v3p1", tokens(1000, 100, cached=500)),
    ),
    "Bedrock": (
        CLAUDE_ON_AWS,
        AWS,
        converse(
            inputTokens=500, outputTokens=100, totalTokens=3600, cacheReadInputTokens=1000, cacheWriteInputTokens=2000
        ),
    ),
    "Bedrock, long, written for an hour": (
        CLAUDE_ON_AWS,
        AWS,
        converse(
            inputTokens=150_000,
            outputTokens=100,
            totalTokens=153_100,
            cacheReadInputTokens=1000,
            cacheWriteInputTokens=2000,
            cacheDetails=[{"ttl": "1h", "inputTokens": 2000}],
        ),
    ),
    "a server of one's own": ("hosted_vllm/Qwen/Qwen2.5-7B", {}, chat("Qwen/Qwen2.5-7B", tokens(100, 10))),
    "a namesake on it": ("hosted_vllm/gpt-4o", {}, chat("gpt-4o", tokens(100, 10))),
    "a namesake on a server of OpenAI's shape": ("openai/deepseek-chat", {}, chat("deepseek-chat", tokens(100, 10))),
}
