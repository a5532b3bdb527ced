"""What recorded calls cost and what of them could move, in sentences and as skills."""

from collections.abc import Iterator, Mapping, Sequence

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.config.catalogue.file_kinds import FileKind
from firstline.config.catalogue.own_files import save_own
from firstline.config.catalogue.yaml_text import as_yaml
from firstline.orchestrator.experiments.adopt.grouping import LogFamily
from firstline.orchestrator.experiments.adopt.recorded_calls import ReadLogs
from firstline.orchestrator.experiments.adopt.trying import Tried
from firstline.orchestrator.quality.families.listing import label
from firstline.orchestrator.reports.formatting import count, dollars
from firstline.schemas.base import Frozen

#: Days of a month, and how many the logs have to span before a month is reckoned from them.
_MONTH, _FEWEST_DAYS = 30.0, 1.0
BY = "firstline adopt"


class FamilyFinding(Frozen):
    """What was found of one family."""

    number: int
    family: str
    prompt: str
    calls: int
    usd: float
    #: None: the logs do not tell how long they took.
    usd_a_month: float | None
    share_of_bill: float
    #: Why nothing of it can move; None: it can be tried, or was.
    why: str | None
    #: None: it was not tried.
    served_share: float | None
    models: tuple[str, ...]
    said: str


def findings(logs: ReadLogs, families: Sequence[LogFamily], tried: Mapping[str, Tried] | None) -> list[FamilyFinding]:
    """Return what was found, those that cost most first."""
    bill_usd = sum(one.usd for one in families) or 1.0
    months = logs.days / _MONTH if logs.days is not None and logs.days >= _FEWEST_DAYS else None
    return [_finding(n, one, bill_usd, months, tried) for n, one in enumerate(families, 1)]


def _finding(
    number: int, one: LogFamily, bill_usd: float, months: float | None, tried: Mapping[str, Tried] | None
) -> FamilyFinding:
    result = (tried or {}).get(one.family.id)
    share = one.usd / bill_usd
    return FamilyFinding(
        number=number,
        family=one.family.id,
        prompt=label(one.family),
        calls=len(one.calls),
        usd=one.usd,
        usd_a_month=one.usd / months if months else None,
        share_of_bill=share,
        why=one.why,
        served_share=result.share if result is not None else None,
        models=result.models if result is not None else (),
        said=_said(one, share, result),
    )


def _said(one: LogFamily, share: float, result: Tried | None) -> str:
    part = f"{share:.0%} of your bill"
    if one.why is not None:
        return f"{part}, stays: {one.why}"
    if result is None:
        return f"{part}, could move: its answers can be compared; --try measures it"
    if not result.pays:
        return f"{part}, stays: {result.why} ({count(result.compared, 'call')} compared)"
    names = " and ".join(result.models)
    return (
        f"{part}, {result.share:.0%} of it can go to {names} at a loss of at most {one.family.max_loss:.0%} "
        f"({count(result.compared, 'call')} compared)"
    )


def lines(logs: ReadLogs, found: Sequence[FamilyFinding]) -> Iterator[str]:
    """Yield what is told."""
    days = f" in {logs.days:.0f} days" if logs.days is not None and logs.days >= _FEWEST_DAYS else ""
    yield f"{count(len(logs.calls), 'call')}{days}, {dollars(sum(one.usd for one in found))}, {len(found)} families"
    yield from logs.notes
    for one in found:
        month = f", {dollars(one.usd_a_month)} a month" if one.usd_a_month is not None else ""
        yield f"family {one.number} ({one.family}): {one.prompt}"
        yield f"  {count(one.calls, 'call')}, {dollars(one.usd)}{month}: {one.said}"


def write_skills(families: Sequence[LogFamily]) -> list[str]:
    """Write a skill for each family that can be certified into the user's own folder; return what was written."""
    written = []
    for one in families:
        if one.why is None:
            name = one.skill.name
            file = save_own(load_catalogue(), FileKind.SKILL, name, as_yaml(one.skill), by=BY)
            written.append(f"skill: {file}; firstline run {name} --input FILE, of items with `messages`")
    return written or ["no skill was written: of no family the answers can be compared"]
