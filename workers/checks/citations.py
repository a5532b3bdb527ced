"""What the text cites exists."""

import regex

from firstline.schemas.base import Json
from firstline.schemas.check import Citations
from firstline.workers.checks.regex import TIMEOUT_S
from firstline.workers.checks.subject import Subject
from firstline.workers.rules.json_paths import brief, texts


def reason(spec: Citations, value: Json, subject: Subject) -> str | None:
    """Say which cited ids are not in the source, or that too few are cited."""
    cited = list(dict.fromkeys(_cited(spec, "\n".join(texts(value)))))
    known = _ids(spec, list(subject.sources(spec.source).values()))
    invented = [name for name in cited if name not in known]
    if invented:
        return (
            f"cites {brief(', '.join(invented[:5]))}, not among the ids of `{spec.source}`: "
            f"{brief(', '.join(sorted(known)), 300) or 'none'}"
        )
    return f"expected at least {spec.min} cited ids, got {len(cited)}" if len(cited) < spec.min else None


def _cited(spec: Citations, text: str) -> list[str]:
    return [str(match[1]) for match in regex.finditer(spec.pattern, text, timeout=TIMEOUT_S) if match[1]]


def _ids(spec: Citations, source: Json) -> set[str]:
    """Return the ids in a source: every `id` of an object, every citation in a text, every text that is one word."""
    match source:
        case str():
            return {*_cited(spec, source), *([source] if source and not any(map(str.isspace, source)) else [])}
        case list():
            return {found for part in source for found in _ids(spec, part)}
        case dict():
            own = {str(source["id"])} if isinstance(source.get("id"), str | int) else set()
            return own.union(*(_ids(spec, part) for part in source.values()))
        case _:
            return set()
