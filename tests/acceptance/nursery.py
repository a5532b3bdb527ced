"""Workers that are born at once: forked of a process that has imported what they need, anew whenever one is killed."""

import os
import signal
import sys
from pathlib import Path

from firstline.workers import process
from firstline.workers.providers.litellm_gateway import load


def main(folder: Path, queues: set[str]) -> int:
    """Keep one worker a queue until told to stop; `QUEUE.pid` in the folder has the process of each."""
    load()
    told = False

    def stop(*_: object) -> None:
        nonlocal told
        told = True

    signal.signal(signal.SIGTERM, stop)
    alive: dict[int, str] = {}
    while not told:
        for queue in queues - set(alive.values()):
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                return process.main(["--queue", queue])
            alive[pid] = queue
            (folder / f"{queue}.pid").write_text(str(pid))
        gone, _ = os.wait()
        del alive[gone]
    # The whole group was told to stop.
    for pid in alive:
        os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), set(sys.argv[2:])))
