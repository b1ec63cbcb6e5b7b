"""Asks Prometheus every step, in a thread of its own, and hands over what it answers."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import Final

from twin.core.errors import InputError
from twin.live.http.loop import TooBusyError, TwinLoop
from twin.live.prometheus import PrometheusPull, PullError
from twin.live.samples import BacklogError, NotWrittenError

_LOG: Final = logging.getLogger("twin.live.prometheus")
_AFTER: Final = 0.1
"""How long after the end of a step it is asked for, as a share of a step: it has to be scraped."""
_TAKING_S: Final = 60.0


class PullThread:
    """One thread that asks until it is closed. What was not taken is asked for again."""

    def __init__(self, pull: PrometheusPull, loop: TwinLoop, since_s: float) -> None:
        """Ask for what is of `since_s`, seconds since 1970, and later."""
        self.outcomes: Counter[str] = Counter()
        self._pull, self._loop, self._since_s = pull, loop, since_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prometheus", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread once it has handed over what it was answered."""
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        every_s = self._pull.every_s
        while not self._stop.is_set():
            now = self._loop.now()
            ended = (now - _AFTER * every_s) // every_s * every_s
            if ended >= self._since_s:
                self._ask(ended)
            self._stop.wait(max(ended + (1 + _AFTER) * every_s - self._loop.now(), 0.1))

    def _ask(self, until_s: float) -> None:
        try:
            samples = self._pull.ask(self._since_s, until_s)
            if len(samples):
                self._loop.take(samples).result(_TAKING_S)
        except (PullError, InputError, BacklogError, NotWrittenError, TimeoutError) as error:
            self.outcomes["failed"] += 1
            _LOG.warning("%s", error)
        except TooBusyError:
            self.outcomes["failed"] += 1
            _LOG.warning("the twin has more to do than it keeps")
        else:
            self.outcomes["answered"] += 1
            self._since_s = until_s + self._pull.every_s
