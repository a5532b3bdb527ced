"""What providers say in their rate-limit headers."""

import pytest

from firstline.workers.limits.rate_limit_headers import Headroom, headroom


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, Headroom(), id="none"),
        pytest.param(
            {
                "x-ratelimit-limit-requests": "500",
                "x-ratelimit-remaining-requests": "499",
                "x-ratelimit-limit-tokens": "30000",
                "x-ratelimit-remaining-tokens": "29500",
                "x-ratelimit-reset-tokens": "1s",
            },
            Headroom(500, 499, 30_000, 29_500),
            id="openai",
        ),
        pytest.param(
            {
                "llm_provider-anthropic-ratelimit-requests-limit": "50",
                "llm_provider-anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-tokens-remaining": "1000",
            },
            Headroom(50, 0, None, 1_000),
            id="anthropic through litellm",
        ),
        pytest.param(
            {
                "x-ratelimit-limit-requests": "many",
                "x-ratelimit-remaining-requests": "-1",
                "x-ratelimit-limit-tokens": "inf",
            },
            Headroom(),
            id="nonsense",
        ),
    ],
)
def test_headers_are_read(headers: dict[str, str], expected: Headroom) -> None:
    assert headroom(headers) == expected
