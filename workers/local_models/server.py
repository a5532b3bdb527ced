"""An OpenAI-compatible HTTP server of one GGUF model on this machine's CPU, by llama.cpp's own server (xllamacpp).

`python -m firstline.workers.local_models.server --model qwen-0.5b --port 0` says on stdout, once it serves, one line:
`{"ready": true, "port": N, "model": "qwen-0.5b"}`. It ends on SIGTERM or SIGINT. Besides `/v1/chat/completions` it has
`/health`, `/v1/models` and `/metrics`.
"""

import argparse
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from firstline.config.settings import get_settings
from firstline.schemas.errors import UserError
from firstline.workers.local_models.catalogue import path_of

_HOST = "127.0.0.1"
_ERRORS_ONLY = 1
#: Prompts that a slot had to give up are kept in memory up to this size and come back without computing.
_PROMPT_CACHE_MIB = 1024
_PARENT_POLL_S = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; exit code 2 with a sentence on stderr where the model or the port cannot be had."""
    options = _parser().parse_args(arguments)
    try:
        _serve(options, path_of(options.model, home=options.home or get_settings().models_home))
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m firstline.workers.local_models.server", description=__doc__)
    parser.add_argument("--model", required=True, help="a name of the catalogue, or the path of a GGUF file")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--home", type=Path, help="folder of the pulled models; otherwise FIRSTLINE_MODELS_HOME")
    parser.add_argument("--context-tokens", type=int, default=8192, help="longest prompt and answer of one request")
    # Each slot computes a skill's long prompt prefix for itself, which on a CPU costs more than batching wins back;
    # one slot computes it once, and skills that take turns get theirs back from the prompt cache.
    parser.add_argument("--parallel", type=int, default=1, help="requests answered at a time; the rest queue")
    # Two models on two cores with a thread each beat either with two: threads of one model wait for each other.
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--exit-with-parent", action="store_true", help="end when the starting process is gone")
    return parser


def _serve(options: argparse.Namespace, path: Path) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    parent = os.getppid()
    server = _start(path, options)
    _announce(urlsplit(server.listening_address).port, options.model)
    while not stop.wait(_PARENT_POLL_S):
        if options.exit_with_parent and os.getppid() != parent:
            return


def _start(path: Path, options: argparse.Namespace) -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise UserError("local models need xllamacpp: pip install 'firstline[local]'") from error
    _refuse_taken(options.port)
    try:
        return xllamacpp.Server(_params(xllamacpp, path, options))
    except RuntimeError as error:
        raise UserError(f"llama.cpp cannot serve '{path}' on port {options.port}: {error}") from error


def _params(library: Any, path: Path, options: argparse.Namespace) -> Any:
    params = library.CommonParams()
    params.model.path = str(path)
    params.model_alias = {options.model}
    params.hostnames = [_HOST]
    params.port = options.port
    params.n_parallel = options.parallel
    params.n_ctx = options.context_tokens * options.parallel
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    params.n_gpu_layers = 0
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.endpoint_metrics = True
    params.ui = False
    # No page in a browser has business with this server.
    params.cors_origins = f"http://{_HOST}"
    params.verbosity = _ERRORS_ONLY
    return params


def _refuse_taken(port: int) -> None:
    """Ask before the model is loaded, which takes seconds."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise UserError(f"port {port} cannot be used ({error.strerror}); give another one, or 0") from error


def _announce(port: int | None, model: str) -> None:
    sys.stdout.write(json.dumps({"ready": True, "port": port, "model": model}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
