"""Whether this process traces: nothing is loaded, and nothing done, unless a collector of OpenTelemetry is named."""

import logging
import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from firstline.config.settings import Settings

if TYPE_CHECKING:
    from firstline.config.telemetry.otel import Tracer

_log = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def make_tracer(settings: Settings, *, service: str) -> "Tracer | None":
    """Return the tracer of this process, or None; `service` is its name unless `OTEL_SERVICE_NAME` gives another."""
    if not is_wanted(os.environ):
        return None
    if find_spec("opentelemetry.exporter") is None or find_spec("opentelemetry.sdk") is None:
        _log.warning("tracing.not_installed", extra={"mend": "pip install 'firstline[otel]'"})
        return None
    from firstline.config.telemetry.otel import Tracer, exporting

    return Tracer(exporting(service), settings.namespace)


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Return whether OpenTelemetry's own variables ask for traces."""
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not off and any(environ.get(name) for name in _ENDPOINTS)
