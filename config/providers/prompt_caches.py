"""How the prompt cache of a model's provider works: its marks, its shortest prefix and how long a prefix lives."""

import re

from firstline.config.providers import price_list
from firstline.schemas.tier import CacheMarks, Model, PromptCache

#: Anthropic's marks, also where others serve its models; what is known of no minimum has the longest one there is.
_CLAUDE = re.compile(r"^(?:anthropic/|(?:bedrock|vertex_ai)/.*claude)")
_LONGEST_MINIMUM = 4096
#: Seconds that a prefix lives after it was last used: five minutes at Anthropic and Bedrock, thirty with breakpoints
#: (developers.openai.com/api/docs/guides/prompt-caching); the others promise nothing, and keep it as long.
_LIFE_S, _LONG_LIFE_S = 300.0, 1800.0
_OPENAI = re.compile(r"^https://[\w.-]*openai\.com(?:[:/]|$)")


def cache_of(model: Model) -> PromptCache | None:
    """Return how a model's prompt cache works; None: it has none, or nobody knows.

    The profile wins; else it is litellm's list that says which models have one, from which length on, and which take
    breakpoints. A server of one's own in OpenAI's shape is told of no breakpoints unless its profile says so.
    """
    if model.prompt_cache is not None:
        return model.prompt_cache
    entry = price_list.entry_of(model.name) or {}
    provider, minimum = model.name.partition("/")[0], entry.get("prompt_cache_min_tokens")
    if _CLAUDE.match(model.name) or (provider == "bedrock" and entry.get("supports_prompt_caching")):
        return PromptCache(marks=CacheMarks.CACHE_CONTROL, min_tokens=int(minimum or _LONGEST_MINIMUM), life_s=_LIFE_S)
    if not entry.get("supports_prompt_caching") and not entry.get("cache_read_input_token_cost"):
        return None
    is_own = model.api_base is None or _OPENAI.match(model.api_base) is not None
    if provider == "openai" and entry.get("supports_prompt_cache_breakpoint") and is_own:
        return PromptCache(marks=CacheMarks.BREAKPOINT, life_s=_LONG_LIFE_S)
    return PromptCache(min_tokens=int(minimum or PromptCache().min_tokens), life_s=_LIFE_S)
