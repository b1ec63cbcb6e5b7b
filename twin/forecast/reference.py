"""Linear forecasts of the next change, fitted per link on its past and again as it goes on.

Nothing here is reduced in an order that depends on how many links are fitted at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Floats
from twin.forecast.card import Normalisation
from twin.forecast.season import periods, profiles

AHEAD: Final = 9
"""The profile of a season is read this far ahead of what was seen."""
_LAGS: Final = 12
"""Past changes that a forecast is made from."""
_PHASES: Final = 24
"""Changes of the profile of a season: those to come, and of the past as many as are left."""
_REFIT: Final = 288
"""Samples from fit to fit; less where the history is short."""
_SEEN: Final = 16_384
"""The fits read at most this much of the end of the history, and what follows."""
_TRIED: Final = 8
"""Fits in the history whose forecasts are compared with what came, to choose among them."""
_KEPT: Final = 0.8
"""Weight of an older comparison over the next one."""
_LINKS_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class _Fits:
    """Where a trace is cut: weights fitted on [first, cut) serve the samples from cut to cut."""

    cuts: tuple[int, ...]
    served: int
    """The cut from which on forecasts are made."""


def usual_changes(changes: Floats, history: int) -> Floats:
    """Return the profiles of both seasons of each link, [seasons, samples, links].

    `changes` [samples, links] are scaled and limited; the seasons are found in those of the
    first `history` samples. At t stands the usual change of sample t + AHEAD, known at t.
    """
    return np.stack([profiles(changes, period, AHEAD) for period in periods(changes[1:history])])


def next_changes(
    changes: Floats,
    usual: Floats,
    known: NDArray[np.bool_],
    how: Normalisation,
    history: int,
    since: int,
) -> Floats:
    """Return the forecast of the change to each sample from those before it, [samples, links].

    `changes` [features, samples, links] are scaled and limited, the first feature's are
    forecast; `usual` [seasons, samples, links] are profiles known AHEAD samples before. What
    forecasts are made by is fitted on the first `history` samples, and later again with all that
    came; per link it is nothing (the last value stays), past changes, or these and the seasons,
    whichever erred least of late where `known`. 0 before `since` at the latest.
    """
    first = max(0, history - _SEEN)
    some = slice(first, None)
    fits = _fits(history - first, max(since - first, 0), changes.shape[1] - first)
    answer = np.zeros(changes.shape[1:])
    for link in range(0, changes.shape[2], _LINKS_AT_ONCE):
        links = slice(link, link + _LINKS_AT_ONCE)
        # Each link's samples lie together, whatever others there are: BLAS rounds by layout.
        series = [np.ascontiguousarray(column[some, links].T) for column in (*changes, *usual)]
        lags = [_LAGS] * len(changes) + [_PHASES] * len(usual)
        answer[some, links] = _followed(series, lags, known[some, links].T, how.ridge, fits).T
    return answer


def _fits(history: int, since: int, samples: int) -> _Fits:
    every = min(max(history // _TRIED, 2 * _LAGS), _REFIT)
    cuts = [0, *range(history % every or every, samples, every), samples]
    served = next((cut for cut in cuts if cut + every > since), samples)
    return _Fits(tuple(dict.fromkeys(cuts)), max(served - (_TRIED - 1) * every, 1))


def _followed(
    series: Sequence[Floats],
    lags: Sequence[int],
    known: NDArray[np.bool_],
    ridge: float,
    fits: _Fits,
) -> Floats:
    """Return the forecasts of the changes of the first of `series`, all [links, samples]."""
    padded = np.stack([np.pad(each, ((0, 0), (max(lags), 0))) for each in series], axis=1)
    target, errors = series[0], np.zeros((3, len(known)))
    answer = np.zeros(target.shape)
    past = sum(count for count in lags if count == _LAGS)
    for start, stop, products in _grown(padded, max(lags), fits.cuts):
        if start < fits.served:
            continue
        matrix, right = _equations(products / start, lags, ridge)
        weights = np.zeros((2, *right.shape))
        weights[0, :, :past] = _solved(matrix[:, :past, :past], right[:, :past])
        weights[1] = _solved(matrix, right) if past < right.shape[1] else weights[0]
        forecasts = np.zeros((3, len(known), stop - start))
        for place, (each, lag) in enumerate(_places(lags)):
            first = max(lags) + start - 1 - lag
            lagged = padded[:, each, first : first + stop - start]
            forecasts[1:] += weights[:, :, place, None] * lagged
        # Ties go to the simpler forecast.
        best = errors.argmin(axis=0)
        answer[:, start:stop] = np.take_along_axis(forecasts, best[None, :, None], axis=0)[0]
        apart = np.abs(forecasts - target[:, start:stop]) * known[:, start:stop]
        errors = _KEPT * errors + apart.sum(axis=-1)
    return answer


def _grown(padded: Floats, lags: int, cuts: Sequence[int]) -> Iterator[tuple[int, int, Floats]]:
    """Yield each two cuts with the lagged products of all samples before the first.

    The products [lag, links, series now, series then] are sums over time of one value now and
    another `lag` samples before, 0 before the first: those of some stationary process. One small
    matrix product a link, so that links do not touch each other.
    """
    links, count, _ = padded.shape
    products = np.zeros((lags + 1, links, count, count))
    for start, stop in pairwise(cuts):
        yield start, stop, products
        now = padded[:, :, lags + start : lags + stop]
        for lag in range(lags + 1):
            then = padded[:, :, lags + start - lag : lags + stop - lag]
            products[lag] += now @ then.swapaxes(1, 2)


def _equations(products: Floats, lags: Sequence[int], ridge: float) -> tuple[Floats, Floats]:
    """Return the Yule-Walker equations of each link: [links, n, n] and [links, n]."""
    series, lag = np.array(_places(lags)).T
    apart = lag[None, :] - lag[:, None]
    later = np.where(apart >= 0, series[:, None], series[None, :])
    earlier = np.where(apart >= 0, series[None, :], series[:, None])
    matrix = products[np.abs(apart), :, later, earlier].transpose(2, 0, 1)
    right = products[lag + 1, :, 0, series].T
    return matrix + ridge * np.eye(len(series)), right


def _places(lags: Sequence[int]) -> list[tuple[int, int]]:
    """Return the series and the lag of each weight."""
    return [(series, lag) for series, count in enumerate(lags) for lag in range(count)]


def _solved(matrix: Floats, right: Floats) -> Floats:
    return np.asarray(np.linalg.solve(matrix, right[..., None])[..., 0])
