"""Something that an orchestrator does again and again, beside the messages that it handles."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from firstline.schemas.errors import FirstlineError

_log = logging.getLogger(__name__)


@dataclass
class Ticker:
    """Calls a function every `every_s` seconds on a thread of its own; what it raises is logged, and it goes on."""

    #: Of its thread, and in the log.
    name: str
    every_s: float
    act: Callable[[], object]
    #: Seconds that `stop` waits for a call under way.
    patience_s: float = 5.0
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name=f"firstline-{self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; a call under way is let finish."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=self.patience_s)

    def _run(self) -> None:
        while not self._stopped.wait(self.every_s):
            try:
                self.act()
            except (RedisError, FirstlineError, OSError) as error:
                _log.warning("%s.postponed", self.name, extra={"error": str(error)})
            except Exception:
                _log.exception("%s.bug", self.name)
