"""Pages from templates: everything that a value may become on the way to a reader."""

import json
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from firstline.orchestrator.reports.formatting import UNKNOWN, count, dollars, percent, seconds
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.web.session import set_cookie
from firstline.workers.rules.pricing import dollars_in_full

#: What is typed: between backticks, or a command with which a sentence ends.
_CODE = re.compile(r"`([^`\n]+)`|(?<=[:;] )(firstline [a-z][^;]*)$")
_FOLDER = Path(__file__).parent / "templates"


@cache
def environment() -> Environment:
    """Return the templates; every value is escaped, a name that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "usd": usd,
        "pct": percent,
        "secs": seconds,
        "num": number,
        "when": when,
        "ago": ago,
        "pretty": pretty,
        "words": words,
        "prose": prose,
        "left": left,
    }
    made.globals |= {"count": count, "figure": figure, "UNKNOWN": UNKNOWN}
    return made


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page; who asks and what guards its forms stand in the request's state."""
    state = request.state
    shared = {
        "path": request.url.path,
        "visitor": getattr(state, "visitor", None),
        "guard": getattr(state, "guard", ""),
        "open_house": getattr(state, "open_house", False),
    }
    answer = HTMLResponse(environment().get_template(template).render(shared | values), status)
    if (cookie := getattr(state, "new_cookie", None)) is not None:
        set_cookie(request, answer, cookie)
    return answer


def usd(amount_usd: float | None) -> str:
    """Return an amount as `dollars` does; a tiny one with its first two digits in full."""
    if amount_usd is not None and 0 < abs(amount_usd) < 0.0001:
        return dollars_in_full(amount_usd)
    return dollars(amount_usd)


def number(value: float | None) -> str:
    """Return a whole number with its thousands, another one with two decimals."""
    if value is None:
        return UNKNOWN
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def figure(value: float | None, unit: str) -> str:
    """Return a chart's value for people."""
    if value is None:
        return UNKNOWN
    match unit:
        case "usd":
            return usd(value)
        case "share":
            return percent(value)
        case "seconds":
            return seconds(value)
        case "time":
            return when(datetime.fromtimestamp(value, UTC))
        case _:
            return f"{value:,.4g}" if value % 1 else f"{value:,.0f}"


def when(at: datetime | None) -> str:
    """Return a time for people."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else UNKNOWN


def ago(at: datetime | None) -> Markup:
    """Return how long ago, with the time itself behind it."""
    if at is None:
        return Markup(UNKNOWN)
    passed_s = max(0.0, (now() - at).total_seconds())
    text = "just now" if passed_s < 5 else f"{_coarse(passed_s)} ago"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(at.isoformat(), when(at), text)


def _coarse(passed_s: float) -> str:
    for size_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if passed_s >= size_s:
            return f"{int(passed_s // size_s)} {unit}"
    return f"{int(passed_s)} s"


def left(duration_s: float) -> str:
    """Return how long something takes yet, as exactly as anybody can know: whole seconds, or as `seconds` has it."""
    whole_s = max(1, round(duration_s))
    return f"{whole_s} s" if whole_s < 60 else seconds(whole_s)


def prose(text: str) -> Markup:
    """Return a sentence with what is typed in it as code."""
    return Markup(_CODE.sub(_as_code, str(escape(text))))


def _as_code(found: re.Match[str]) -> str:
    """Return it with each option in one piece: a line breaks before `--tier`, never within."""
    words = (f"<span>{word}</span>" if "-" in word else word for word in (found[1] or found[2]).split(" "))
    return f"<code>{' '.join(words)}</code>"


def pretty(value: Any) -> str:
    """Return a value as people read it: a text as it is, anything else as indented JSON."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def words(name: str) -> str:
    """Return an enum's value as words."""
    return name.replace("_", " ")


def flower_tasks(flower_url: str | None, job: str) -> str | None:
    """Return where Flower lists the messages of a job; None where no Flower is known."""
    if flower_url is None:
        return None
    # Of its search, Flower takes three fields from the address; what follows the first one's value is another field.
    return f"{flower_url.rstrip('/')}/tasks?name={quote(f'firstline args:job={job}', safe='')}"
