"""What the text cites exists."""

from collections.abc import Iterator

from firstline.schemas.base import Json
from firstline.schemas.check import Citations
from firstline.workers.checks.subject import Subject
from firstline.workers.rules.json_paths import brief, texts
from firstline.workers.rules.patterns import matches


def reason(spec: Citations, value: Json, subject: Subject) -> str | None:
    """Say which cited ids are not in the source, or that too few are cited."""
    said, sources = "\n".join(texts(value)), list(subject.sources(spec.source).values())
    first, *others = matches(spec.pattern, [said, *texts(sources)], every=True)
    cited = list(dict.fromkeys(first))
    known = {*_ids(sources), *(found for one in others for found in one)}
    invented = [name for name in cited if name not in known]
    if invented:
        return (
            f"cites {brief(', '.join(invented[:5]))}, not among the ids of `{spec.source}`: "
            f"{brief(', '.join(sorted(known)), 300) or 'none'}"
        )
    return f"expected at least {spec.min} cited ids, got {len(cited)}" if len(cited) < spec.min else None


def _ids(source: Json) -> Iterator[str]:
    """Yield every `id` of an object in a source, and every text that is one word."""
    match source:
        case str():
            if source and not any(map(str.isspace, source)):
                yield source
        case list():
            for part in source:
                yield from _ids(part)
        case dict():
            if isinstance(source.get("id"), str | int):
                yield str(source["id"])
            for part in source.values():
                yield from _ids(part)
