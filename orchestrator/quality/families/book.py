"""The book of a process that answers requests: which family one is of, and what it cost; written off the critical path.

Looking a family up reads memory alone. A thread writes down what was noted, and reads what others have changed.
"""

import logging
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.quality.families.family import Family, FamilyChoice, FamilyState, family_of
from firstline.orchestrator.quality.families.prompts import GAP, common_skeleton, fits
from firstline.orchestrator.quality.families.signature import Signature
from firstline.orchestrator.store import families
from firstline.orchestrator.store.family_tables import FamilyRow, FamilySampleRow
from firstline.orchestrator.store.jobs import now
from firstline.schemas.base import Json
from firstline.schemas.errors import InfrastructureError

_log = logging.getLogger(__name__)

#: Families of one tenant; further prompts are passed on and not told apart.
MOST_FAMILIES = 1000
#: Families of a shape among which siblings of a new prompt are sought.
_SOUGHT = 60
#: Seconds that what others have changed is not known for.
_STALE_S = 0.5
_NOTED_AT_ONCE = 200
#: Samples that wait; while there are more, no further ones are kept.
_MOST_WAITING = 400


@dataclass(frozen=True)
class Noted:
    """One answered request."""

    signature: Signature
    #: By the ladder; else by the top model itself.
    served: bool
    #: None: not known.
    usd: float | None
    #: What a sample is made of; None: it is none.
    messages: list[Json] | None = None
    answer: str | None = None


@dataclass
class Book:
    """Families by prompt and shape, as this process knows them."""

    engine: Context
    _exact: dict[tuple[str, str], Family] = field(default_factory=dict)
    _skeletons: dict[str, list[Family]] = field(default_factory=dict)
    _noted: "queue.SimpleQueue[Noted | None]" = field(default_factory=queue.SimpleQueue)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Read what there is, and begin to write."""
        self._read()
        self._thread = threading.Thread(target=self._run, name="family-book", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write down what was noted so far."""
        if self._thread is not None:
            self._noted.put(None)
            self._thread.join(timeout=10)

    def find(self, signature: Signature) -> Family | None:
        """Return the family that a request is of; None: it is not known yet."""
        exact = self._exact.get((signature.shape, signature.prompt))
        if exact is not None:
            return exact
        alike = self._skeletons.get(signature.shape, ())
        return next((one for one in alike if fits(one.prompt, signature.prompt)), None)

    def note(self, noted: Noted) -> None:
        """Have a request written down."""
        self._noted.put(noted)

    def _run(self) -> None:
        while True:
            noted, over = self._waiting()
            try:
                if noted:
                    self._write_apart(noted)
                self._read()
            except Exception:
                # Nobody waits for it, and the next turn may do better; what was noted is lost to the account alone.
                _log.exception("families.not_written", extra={"requests": len(noted)})
                time.sleep(_STALE_S)
            if over:
                return

    def _write_apart(self, noted: Sequence[Noted]) -> None:
        """Write requests down together; where one of them cannot be, each by itself, so that it costs no other."""
        try:
            self._write(noted)
        except InfrastructureError:
            raise
        except Exception:
            if len(noted) == 1:
                raise
            for one in noted:
                # What was made known by what was rolled back is not there.
                self._read()
                try:
                    self._write([one])
                except Exception:
                    _log.exception("families.not_written", extra={"requests": 1})

    def _waiting(self) -> tuple[list[Noted], bool]:
        """Return what was noted, after a while at the latest, and whether it is the last."""
        found: list[Noted] = []
        deadline = time.monotonic() + _STALE_S
        while len(found) < _NOTED_AT_ONCE:
            try:
                one = self._noted.get(timeout=max(0.001, deadline - time.monotonic()))
            except queue.Empty:
                return found, False
            if one is None:
                return found, True
            found.append(one)
        return found, False

    def _read(self) -> None:
        with self.engine.db.reading() as tx:
            rows = [family_of(row) for row in families.every(tx)]
        by_id = {one.id: one for one in rows}
        exact: dict[tuple[str, str], Family] = {}
        skeletons: dict[str, list[Family]] = {}
        for one in rows:
            standing = by_id.get(one.merged_into or one.id, one)
            exact[one.shape, one.prompt] = standing
            if GAP in one.prompt and one.merged_into is None:
                skeletons.setdefault(one.shape, []).append(one)
        self._exact, self._skeletons = exact, skeletons

    def _write(self, noted: Sequence[Noted]) -> None:
        """Write requests down in one transaction: a row a family and a tenant, whatever their number."""
        counts: dict[str, Counter[str]] = {}
        passed: dict[str, list[float]] = {}
        kept: list[tuple[str, Noted]] = []
        with self.engine.db.writing() as tx:
            waiting = families.by_state(tx, state="waiting")
            for one in noted:
                usd = one.usd or 0.0
                if not one.served:
                    passed.setdefault(one.signature.tenant, []).append(usd)
                family = self.find(one.signature) or self._register(tx, one.signature)
                if family is None:
                    continue
                more = {"served": 1, "served_usd": usd} if one.served else {"top_calls": 1, "top_usd": usd}
                counts.setdefault(family.id, Counter()).update({"requests": 1, **more})
                if self._is_sample(family, one) and waiting.get(family.id, 0) < _MOST_WAITING:
                    waiting[family.id] = waiting.get(family.id, 0) + 1
                    kept.append((family.id, one))
            merged = families.merged(tx, families={*counts})
            for name, sums in counts.items():
                families.add(tx, family=merged.get(name, name), counts=sums)
            for tenant, costs in passed.items():
                families.pass_on(tx, tenant=tenant, calls=len(costs), usd=sum(costs))
            families.keep(tx, rows=[_sample(merged.get(name, name), one) for name, one in kept])

    def _is_sample(self, family: Family, noted: Noted) -> bool:
        if noted.messages is None or not noted.answer:
            return False
        open_ = family.choice is FamilyChoice.AUTO and family.state is FamilyState.SHADOW
        return open_ and random.random() < self.engine.settings.shadow_share

    def _register(self, tx: Connection, signature: Signature) -> Family | None:
        """Write a prompt down as a family of its own, or as one more of a prompt that varies."""
        near = families.of_shape(tx, shape=signature.shape, newest=_SOUGHT)
        apart = {row["prompt"]: row["id"] for row in near if row["choice"] == FamilyChoice.AUTO.value}
        shared = common_skeleton(signature.prompt, apart)
        prompt = shared[0] if shared is not None else signature.prompt
        row = _row(signature, prompt, self.engine.settings.family_max_loss)
        if shared is None and families.count(tx, tenant=signature.tenant) >= MOST_FAMILIES:
            return None
        families.insert(tx, row=row)
        if shared is not None:
            parts = {apart[one] for one in shared[1]} - {row.id}
            families.merge(tx, families=parts, into=row.id)
        known = families.get(tx, family=row.id)
        family = family_of(known) if known is not None else None
        if family is not None:
            self._exact[signature.shape, signature.prompt] = family
            if shared is not None:
                self._skeletons.setdefault(signature.shape, []).append(family)
        return family


def _row(signature: Signature, prompt: str, max_loss: float) -> FamilyRow:
    state = FamilyState.SHADOW if signature.straight is None else FamilyState.STRAIGHT
    return FamilyRow(
        **signature.of_family(prompt),
        state=state.value,
        why=signature.straight or "new",
        max_loss=max_loss,
        created_at=now(),
        seen_at=now(),
    )


def _sample(family: str, noted: Noted) -> FamilySampleRow:
    return FamilySampleRow(family=family, state="waiting", messages=noted.messages, answer=noted.answer or "", at=now())
