"""Logging: events with stable names, text for people and JSON for machines, never a prompt, an item or a key."""

import json
import logging
import sys

from firstline.config.settings import Settings
from firstline.config.telemetry.terminal import shown

_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        extra = " ".join(f"{name}={value}" for name, value in _extra(record).items())
        return shown(f"{text} {extra}".rstrip())


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in _PLAIN and name != "data"}


def configure(settings: Settings) -> None:
    """Send logs to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    text = _Text("%(asctime)s %(levelname)-7s %(name)s %(message)s")
    handler.setFormatter(_JsonLines() if settings.log_format == "json" else text)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for noisy in ("httpx", "httpcore", "openai", "LiteLLM", "litellm", "celery.app.trace", "alembic", "kombu"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
