"""Asks Prometheus every step, in a thread of its own, and hands over what it answers."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from twin.core.errors import InputError
from twin.live.http.loop import TooBusyError, TwinLoop
from twin.live.prometheus import PrometheusPull, PullError
from twin.live.samples import BacklogError, NotWrittenError

_LOG: Final = logging.getLogger("twin.live.prometheus")
_TAKING_S: Final = 60.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0
"""After a failure it is asked again so soon, and later and later."""


class PullThread:
    """One thread that asks until it is closed. What was not taken is asked for again."""

    def __init__(
        self,
        pull: PrometheusPull,
        loop: TwinLoop,
        since_s: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Ask for what is of `since_s`, seconds since 1970, and later.

        `now` is the clock of the server that is asked, whatever the twin's own is.
        """
        self.outcomes: Counter[str] = Counter()
        self._pull, self._loop, self._since_s, self._now = pull, loop, since_s, now
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prometheus", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread once it has handed over what it was answered."""
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        every_s, after_s = self._pull.every_s, self._pull.after_s
        wait_s = _FIRST_WAIT_S
        while not self._stop.is_set():
            ended = (self._now() - after_s) // every_s * every_s
            if self._asked(ended):
                wait_s = _FIRST_WAIT_S
                self._stop.wait(max(ended + every_s + after_s - self._now(), 0.1))
            else:
                self._stop.wait(min(wait_s, every_s))
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _asked(self, until_s: float) -> bool:
        """Ask for all until an instant; return whether all of it was answered and taken."""
        why: object
        while self._since_s <= until_s and not self._stop.is_set():
            try:
                samples, reached_s = self._pull.ask(self._since_s, until_s)
                if len(samples):
                    self._loop.take(samples).result(_TAKING_S)
            except (PullError, InputError, BacklogError, NotWrittenError) as error:
                why = error
            except TimeoutError:
                why = f"the twin took nothing for {_TAKING_S:g} s"
            except TooBusyError:
                why = "the twin has more to do than it keeps"
            except Exception:
                _LOG.exception("Prometheus is asked again")
                self.outcomes["failed"] += 1
                return False
            else:
                self.outcomes["answered"] += 1
                self._since_s = reached_s + self._pull.every_s
                continue
            self.outcomes["failed"] += 1
            _LOG.warning("%s", why)
            return False
        return True
