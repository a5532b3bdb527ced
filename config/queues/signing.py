"""Signed messages: each tier's workers have a key of their own, so that none can speak for another, or order work.

From one key, which orchestrators and producers have, follows one for each queue (HMAC-SHA-256, RFC 2104). A message is
signed with the key of the queue that it goes to, or, by a worker, with those of its own queues. Workers may tell the
orchestrators what came of batches of their tiers, and nothing else.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kombu.utils.json import dumps

from firstline.schemas.errors import UserError

#: Header: signatures by the name of the queue whose key they are made with.
SIGNED = "firstline_signed"
#: Header of a message that was taken: the names whose keys it was signed with.
SENDERS = "firstline_senders"
#: Queue of the orchestrators; whoever has its key has all keys.
_ORCHESTRATOR = "orchestrator"
#: What workers may send to the orchestrators.
_OF_WORKERS = frozenset({"firstline.judge", "firstline.bulked"})
_PULSE = "pulse."
#: Headers that change on the way.
_UNSIGNED = frozenset({SIGNED, SENDERS, "redelivered"})
_SHORTEST = 32


class Stranger(Exception):
    """A message that nobody has signed who may send it."""


@dataclass(frozen=True)
class Keyring:
    """The keys of one process."""

    namespace: str
    #: From which all keys follow; None: a worker's process.
    master: bytes | None
    #: Keys of single queues, by their names.
    own: Mapping[str, bytes]

    def sign(self, queue: str, message: dict[str, Any]) -> None:
        """Put signatures into a message's headers; messages of monitors have none."""
        if (name := self._name(queue)) is not None:
            names = (name,) if self._key(name) is not None else tuple(self.own)
            message["headers"][SIGNED] = {one: self._signature(one, queue, message) for one in names}

    def admit(self, queue: str, message: dict[str, Any]) -> None:
        """Note in a message's headers who has signed it; Stranger: nobody who may send it."""
        if (name := self._name(queue)) is None:
            return
        headers = message["headers"]
        told = headers.get(SIGNED)
        claimed = told if isinstance(told, dict) else {}
        senders = {one for one in (name, *self.own, *claimed) if self._is_signed(one, queue, message, claimed)}
        if name not in senders:
            is_told = name == _ORCHESTRATOR and headers.get("task") in _OF_WORKERS
            if not senders or not (is_told or name.startswith(_PULSE)):
                raise Stranger(f"expected a message signed with the key of '{name}', got {headers.get('task')!r:.80}")
        headers[SENDERS] = sorted(senders)

    def _name(self, queue: str) -> str | None:
        """Return the name of a queue of ours; None for those that kombu makes up."""
        name = queue.removeprefix(f"{self.namespace}.")
        return None if name == queue or name.startswith("_kombu") else name

    def _key(self, name: str) -> bytes | None:
        return self.own.get(name) if self.master is None else derived(self.master, name)

    def _is_signed(self, name: str, queue: str, message: dict[str, Any], claimed: dict[str, Any]) -> bool:
        given = claimed.get(name)
        if not isinstance(given, str) or self._key(name) is None:
            return False
        return hmac.compare_digest(given.encode(), self._signature(name, queue, message).encode())

    def _signature(self, name: str, queue: str, message: dict[str, Any]) -> str:
        headers = {key: value for key, value in message["headers"].items() if key not in _UNSIGNED}
        # As the wire has them: what is sent and what is read are the same text then.
        text = json.dumps([queue, json.loads(_on_the_wire(headers)), message["body"]], sort_keys=True)
        return hmac.new(self._key(name) or b"", text.encode(), hashlib.sha256).hexdigest()


def _on_the_wire(headers: dict[str, Any]) -> str:
    return str(dumps(headers))  # type: ignore[no-untyped-call] # kombu has no types


def derived(master: bytes, queue: str) -> bytes:
    """Return the key of a queue, as hexadecimal digits."""
    return hmac.new(master, f"firstline messages of {queue}".encode(), hashlib.sha256).hexdigest().encode()


@lru_cache(maxsize=8)
def keyring(namespace: str, text: str) -> Keyring:
    """Return the keys that a setting holds: one key for all, or `QUEUE:KEY` pairs between commas.

    UserError: one is too short.
    """
    own = dict(pair.strip().split(":", 1) for pair in text.split(",")) if ":" in text else {}
    if any(len(key) < _SHORTEST for key in (own.values() or [text])):
        raise UserError(
            "FIRSTLINE_SIGNING_KEY: expected a secret of at least 32 characters (`openssl rand -hex 32`), or a "
            "worker's QUEUE:KEY as `firstline signing-key QUEUE` prints it"
        )
    return Keyring(namespace, None if own else text.encode(), {name: key.encode() for name, key in own.items()})
