"""What a policy may ask for while it fits or decides, and who answers.

History and observation hold no data of their own: they ask whoever runs the policy, for as long as
it runs. So nothing that a policy can reach from them holds what is still to come. Whoever answers
hands out arrays that cannot be written to, since other policies are shown them too.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Generic, Protocol, TypeVar

from twin.core.arrays import Bools, Floats, Ints

T = TypeVar("T")
Quantiles = tuple[Floats, tuple[float, ...]]
"""Values, the last axis by level, and the levels."""


class Services(Protocol):
    """Answers what policies ask; samples are counted from the first of the trace."""

    def observed(self, kpi: str, closed: int) -> Floats:
        """Return a KPI as it is known once `closed` samples are seen, [samples, links]."""

    def latest(self, closed: int) -> Floats:
        """Return the demand of sample closed - 1 as it is known then, [links]; NaN is missing."""

    def last_known(self, closed: int) -> Floats:
        """Return the latest demand before sample `closed` that was not missing, [links]."""

    def unseen(self, closed: int) -> Bools:
        """Return the links of which nothing is known once `closed` samples are seen, [links]."""

    def coming(self, closed: int) -> Floats:
        """Return the demand of sample `closed` itself, [links], to a bound alone."""

    def forecast(self, model: str, sample: int, ahead: int) -> Floats:
        """Return a model's forecast of the demand in sample + ahead, from before it, [links]."""

    def forecast_path(self, model: str, sample: int, first: int, count: int) -> Floats:
        """Return a model's forecasts of sample + first and those after it, [count, links]."""

    def quantiles(self, model: str, sample: int, ahead: int) -> Quantiles:
        """Return the same for its quantiles, [links, quantiles], and their levels."""

    def calibrated(
        self, model: str, sample: int, ahead: int, levels: tuple[float, ...]
    ) -> Quantiles:
        """Return calibrated quantiles of any model at `levels`, [links, levels], and the levels."""

    def past_forecasts(self, model: str, samples: int, ahead: int) -> Floats:
        """Return what would have been forecast of the last `samples` of the history.

        Each from what was known `ahead` samples before it and earlier, [samples, links].
        """

    def past_path(self, model: str, sample: int, first: int, count: int) -> Floats:
        """Return the same as forecast_path() in the history, for rising samples."""

    def past_quantiles(self, model: str, samples: int, ahead: int) -> Quantiles:
        """Return the same for its quantiles, [samples, links, quantiles], and their levels."""

    def season(self) -> Ints:
        """Return the samples after which each link's demand repeats, 0 for none, [links]."""


_SERVICES: ContextVar[Services | None] = ContextVar("services", default=None)
_AHEAD: ContextVar[bool] = ContextVar("ahead", default=False)
"""Whether who is asked now is a bound."""


class _Setting(Generic[T]):
    """Sets a variable while it is entered: at every decision, so without a generator."""

    def __init__(self, variable: ContextVar[T], value: T) -> None:
        self._variable, self._value = variable, value

    def __enter__(self) -> None:
        self._token = self._variable.set(self._value)

    def __exit__(self, *_: object) -> None:
        self._variable.reset(self._token)


def serving(services: Services) -> _Setting[Services | None]:
    """Let `services` answer what policies ask, in a `with` block."""
    return _Setting(_SERVICES, services)


def looking_ahead(allowed: bool) -> _Setting[bool]:
    """Let who is asked now see the coming interval, or not, in a `with` block."""
    return _Setting(_AHEAD, allowed)


def looks_ahead() -> bool:
    """Return whether who is asked now is a bound."""
    return _AHEAD.get()


def refuse_future() -> None:
    """Raise RuntimeError where no bound is being asked."""
    if not looks_ahead():
        raise RuntimeError(
            "coming_mbps is the future, for a bound alone; say `bound: ClassVar[bool] = True`"
        )


def services() -> Services:
    """Return who answers now. Raises RuntimeError where no policy is being run."""
    answering = _SERVICES.get()
    if answering is None:
        raise RuntimeError("a history or an observation can be read while a policy runs, not later")
    return answering
