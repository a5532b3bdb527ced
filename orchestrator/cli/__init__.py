"""The command line: `main` is the console script; each public file beside it is one command."""

import firstline.config.queues.startup  # noqa: F401 # before all others, see there

# isort: split

import os
import re
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path

from firstline.config.telemetry.terminal import obeying_nothing
from firstline.schemas.errors import FirstlineError

#: Who logs in, within an address.
_PASSWORD = re.compile(r"://[^/@\s]*@")
#: Exit codes: wrong use or input; a bug of ours.
USAGE = 2
BUG = 1
EXIT_CODES = {
    0: "done",
    1: "the job did not end well (paused, failed, nothing settled, more failed than `--fail-over` bears), what was "
    "looked for is not so (`check`, `bill`, `health`), or a bug of ours, whose details are in the file that is named",
    USAGE: "wrong use or input, or a job that is in no state for it: one sentence says how to mend it",
    130: "stopped by Ctrl-C; 143 by SIGTERM: what is done is kept",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code; what a person can mend is a sentence, never a traceback."""
    with obeying_nothing():
        code = _run(arguments)
        if code != USAGE:
            _note(sys.argv[1:] if arguments is None else arguments)
        return code


def _run(arguments: list[str] | None) -> int:
    from firstline.orchestrator.cli._commands import app

    try:
        app(args=arguments, prog_name="firstline")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except FirstlineError as error:
        _say(str(error))
        return getattr(error, "exit_code", USAGE)
    except KeyboardInterrupt:
        _say("stopped")
        return 130
    except Exception as error:
        _say(f"something went wrong inside Firstline ({type(error).__name__}); the details are in {_write_crash()}")
        return BUG
    return 0


def _note(words: list[str]) -> None:
    """Write a command that changed something into the audit log."""
    from firstline.orchestrator.cli._commands import is_noted

    if is_noted(words):
        from firstline.orchestrator import api
        from firstline.orchestrator.core.audit_log import note_command
        from firstline.workers.rules.json_text import printable

        told = _PASSWORD.sub("://***@", printable(" ".join(words[1:])))
        with suppress(FirstlineError, KeyboardInterrupt):
            note_command(api.engine().db, action=words[0], target=told)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _write_crash() -> Path:
    """Write the current traceback beside the logs of embedded runs, else into the system's temporary folder."""
    name = f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    for folder in (Path(os.environ.get("FIRSTLINE_STATE_DIR", ".firstline")) / "logs", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                traceback.print_exc(file=file)
        except OSError:
            continue
        return folder / name
    return Path(os.devnull)
