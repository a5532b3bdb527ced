"""Messages that nobody can read or deal with: whose they are, and why, is kept for the sweep."""

import re

from pydantic import ValidationError

from firstline.config.shared_state.keys import Keys
from firstline.schemas.batch import MESSAGE_VERSION
from firstline.schemas.errors import FirstlineError
from firstline.workers.durability.claims import CLAIM_S, JUDGED, UNREADABLE

#: How a batch and a trail begin as this code writes them: their version, and the batch's id.
_HEAD = re.compile(r'\{"v":(\d{1,9}),"(?:id|batch)":"([0-9A-Za-z.-]{1,64})"')
_LONGEST = 200

# KEYS: claim. ARGV: what is to stand there, seconds, the word for judged.
NOTE = """
if redis.call('GET', KEYS[1]) ~= ARGV[3] then redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end
"""


def batch_of(message: object) -> str | None:
    """Return the batch that a message or trail is about; None where newer code wrote it, which newer code may read."""
    head = _HEAD.match(message) if isinstance(message, str) else None
    return head[2] if head is not None and int(head[1]) <= MESSAGE_VERSION else None


def note_of(keys: Keys, batch: str, error: Exception) -> tuple[str, int, str, str, str, str]:
    """Return the arguments of Redis's EVAL that note at a batch's claim why its message came to nothing."""
    return NOTE, 1, keys.claim(batch), f"{UNREADABLE}{why(error)}", str(CLAIM_S), JUDGED


def why(error: Exception) -> str:
    """Return for people what was wrong, without what items or models said."""
    match error:
        case ValidationError():
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            told = f"{'.'.join(map(str, first['loc'])) or 'message'}: {first['msg']}"
        case FirstlineError():
            told = str(error)
        case _:
            told = type(error).__name__
    return told[:_LONGEST]
