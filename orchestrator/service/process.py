"""An orchestrator process: its Celery worker, and what it does beside: the sweep, webhooks, counters."""

import firstline.config.queues.startup  # noqa: F401 # before all others, see there

# isort: split

import argparse
import sys

from celery import signals

from firstline.config.queues.app import ORCHESTRATOR
from firstline.config.queues.liveness import DEAF_AFTER_S
from firstline.config.queues.serving import serve
from firstline.config.queues.slot_watch import SlotWatch
from firstline.config.settings import get_settings
from firstline.config.shared_state.redis import expect_allowed
from firstline.config.telemetry.logs import configure
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.counters import FLUSH_S
from firstline.orchestrator.core.ticker import Ticker
from firstline.orchestrator.engine import publish, webhooks
from firstline.orchestrator.service.sweep import Rescue
from firstline.orchestrator.service.tasks import register
from firstline.orchestrator.store.migrate import migrate
from firstline.schemas.errors import FirstlineError

#: Seconds that a message may take: a database that is away, or locked by another, is waited for in slices of 30 s.
_SLOT_S = 180.0


def main(argv: list[str] | None = None) -> int:
    """Run an orchestrator until it is told to stop; return the exit code."""
    options = _options(argv)
    settings = get_settings()
    configure(settings)
    engine = Context(settings)
    try:
        migrate(engine.db)
        app = engine.app
        expect_allowed(settings.redis_url, settings.keys)
    except FirstlineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    register(app, engine)
    rescue = Rescue(engine)
    tickers = (rescue.ticker, webhooks.ticker(engine), Ticker("tally", FLUSH_S, engine.hand_over))
    for ticker in tickers:
        signals.worker_ready.connect(lambda ticker=ticker, **_: ticker.start(), weak=False)
    watch = SlotWatch(_SLOT_S, slow_s={publish.SUBMIT: settings.visibility_timeout_s}, quiet_s=DEAF_AFTER_S)
    exit_code = serve(app, settings, queues=(ORCHESTRATOR,), threads=options.threads, watch=watch)
    for ticker in tickers:
        ticker.stop()
    rescue.abdicate()
    engine.hand_over()
    engine.db.close()
    return exit_code


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="firstline orchestrator", description=__doc__)
    parser.add_argument("--threads", type=int, default=4, help="messages handled at once (default 4)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
