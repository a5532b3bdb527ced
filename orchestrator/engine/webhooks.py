"""Webhooks: a job that comes to rest tells its URL, signed by the Standard Webhooks scheme, until it is heard."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic_core import to_json
from sqlalchemy import RowMapping

from firstline.config.settings import Settings
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.ticker import Ticker
from firstline.orchestrator.store import jobs, webhooks
from firstline.schemas.errors import InfrastructureError, UserError
from firstline.workers.tools.addresses import resolved

if TYPE_CHECKING:
    import httpx

_log = logging.getLogger(__name__)

#: Seconds before each next try of a delivery; after the last one it is given up (about 22 hours in all).
BACK_OFF_S = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 21600.0)
_TIMEOUT_S = 10.0
_AT_ONCE = 20
_POLL_S = 1.0
_PORTS = {"http": 80, "https": 443}


def refuse_bad_url(url: str, settings: Settings) -> None:
    """Raise a UserError when a webhook to this URL could never be sent."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.username or parts.password:
        raise UserError(f"webhook_url: expected a URL such as https://example.org/hook, got '{url}'")
    if settings.webhook_secret is None:
        raise UserError("webhook_url: webhooks are signed, so they need a secret; set FIRSTLINE_WEBHOOK_SECRET")


def ticker(engine: Context) -> Ticker:
    """Return what delivers; any number of processes may do it side by side."""
    return Ticker("webhooks", _POLL_S, lambda: deliver_due(engine), patience_s=_TIMEOUT_S)


def deliver_due(engine: Context) -> int:
    """Deliver what is due; return how many were heard."""
    with engine.db.reading() as tx:
        if not webhooks.due(tx):
            return 0
    with engine.db.writing() as tx:
        rows = webhooks.claim(tx, limit=_AT_ONCE, for_s=_TIMEOUT_S * 4)
    # Side by side: none waits for one that is slow.
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="firstline-webhook") as threads:
        return sum(threads.map(lambda row: _deliver(engine, row), rows))


def _deliver(engine: Context, row: RowMapping) -> bool:
    try:
        with engine.db.reading() as tx:
            status = jobs.status(tx, job=row["job"])
        body = to_json({"type": f"job.{row['state']}", "timestamp": datetime.now(UTC), "data": status})
        reason = send(row["url"], body, message_id=_message_id(row), settings=engine.settings)
        return _note(engine, row, reason)
    except InfrastructureError:
        # It is due again when its claim has run out.
        _log.warning("webhook.postponed", extra={"job": row["job"]})
        return False


def _note(engine: Context, row: RowMapping, reason: str | None) -> bool:
    with engine.db.writing() as tx:
        if reason is None:
            webhooks.heard(tx, job=row["job"], told=row["state"], ended_at=row["ended_at"])
            return True
        left = BACK_OFF_S[row["failures"] :]
        webhooks.unheard(tx, job=row["job"], reason=reason, again_s=left[0] if left else None)
    _log.warning("webhook.unheard", extra={"job": row["job"], "failures": row["failures"] + 1})
    return False


def _message_id(row: RowMapping) -> str:
    """Return the id of this news: the same at every try, so that a receiver can tell repetitions."""
    ended = f"_{row['ended_at']:%Y%m%dT%H%M%S%f}" if row["ended_at"] is not None else ""
    return f"msg_{row['job']}_{row['state']}{ended}"


def send(url: str, body: bytes, *, message_id: str, settings: Settings) -> str | None:
    """Post a signed message (Standard Webhooks 1.0.0); return None when it was heard, else why not.

    The host's name is resolved once and its address checked, then connected to: a second answer of the name server
    (DNS rebinding) changes nothing. Redirects are not followed.
    """
    import httpx
    from standardwebhooks import Webhook

    if settings.webhook_secret is None:
        return "FIRSTLINE_WEBHOOK_SECRET is not set here"
    sent_at = datetime.now(UTC)
    signature = Webhook(settings.webhook_secret.get_secret_value()).sign(message_id, sent_at, body.decode())
    headers = {
        "content-type": "application/json",
        "user-agent": "firstline",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": signature,
    }
    try:
        return asyncio.run(_post(httpx.URL(url), body, headers, settings))
    except TimeoutError:
        return f"it had not answered within {_TIMEOUT_S:g} s"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        return f"{type(error).__name__}: {error}"[:300]


async def _post(url: "httpx.URL", body: bytes, headers: dict[str, str], settings: Settings) -> str | None:
    import httpx

    host = url.raw_host.decode("ascii").strip("[]")
    # A server that sends a byte now and then is within every time-out of httpx's: the whole has a deadline.
    async with (
        asyncio.timeout(_TIMEOUT_S),
        httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=_TIMEOUT_S) as client,
    ):
        address = await resolved(host, url.port or _PORTS[url.scheme], allow_private=settings.webhook_private)
        request = client.build_request(
            "POST",
            url.copy_with(host=address),
            content=body,
            headers={**headers, "host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": host},
        )
        response = await client.send(request, stream=True)
        await response.aclose()
    return None if response.is_success else f"it answered {response.status_code}"
