"""A Flower process on this deployment's Celery app; nobody but this machine sees it without a password."""

import argparse
import os
import sys
from collections.abc import Mapping

from firstline.config.queues.app import make_app
from firstline.config.settings import get_settings
from firstline.orchestrator.core.loopback import is_loopback
from firstline.schemas.errors import FirstlineError, UserError

#: Variables of Flower's own, each of which makes it ask who is there.
_AUTHENTICATION = ("FLOWER_BASIC_AUTH", "FLOWER_AUTH")


def main(argv: list[str] | None = None) -> int:
    """Run Flower until it is told to stop; return the exit code. Flower reads its other options from `FLOWER_*`."""
    options = _options(argv)
    try:
        require_authentication(options.address, os.environ)
        app = make_app(settings := get_settings())
    except FirstlineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    from firstline.orchestrator.monitoring.flower_pages import adapt

    adapt(settings.web_url)
    flags = [f"--address={options.address}", f"--port={options.port}"]
    app.start(["flower", *flags, *(["--read-only"] if options.read_only else [])])
    return 0


def require_authentication(address: str, environ: Mapping[str, str]) -> None:
    """Raise a UserError when other machines could see Flower without saying who they are."""
    if not is_loopback(address) and not any(environ.get(name) for name in _AUTHENTICATION):
        raise UserError(
            f"Flower would show everything to everyone who reaches {address}; set FLOWER_BASIC_AUTH=USER:PASSWORD "
            "(or FLOWER_AUTH with a provider of OAuth), or listen on 127.0.0.1"
        )


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="firstline flower", description=__doc__)
    parser.add_argument("--address", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=5555)
    parser.add_argument("--read-only", action="store_true", help="show everything, change nothing")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
