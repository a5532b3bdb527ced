"""`python -m firstline.workers.simulator SCRIPT.yaml --port 0 --log FILE`: one JSON line when ready, then it serves."""

import argparse
import json
import sys
from pathlib import Path

from firstline.schemas.errors import UserError
from firstline.workers.simulator.script import load_script
from firstline.workers.simulator.server import serve


def main(arguments: list[str] | None = None) -> int:
    """Serve a script until interrupted; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m firstline.workers.simulator", description=__doc__)
    parser.add_argument("script", type=Path, help="the script to play (YAML)")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--log", type=Path, help="append each paid call to this file (JSONL)")
    options = parser.parse_args(arguments)
    try:
        serve(load_script(options.script), port=options.port, log=options.log, ready=announce, host=options.host)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def announce(port: int) -> None:
    """Print that the server is ready, and its port."""
    sys.stdout.write(json.dumps({"ready": True, "port": port}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
