"""The trend of busy values: level, growth and season of each link, and how well they are known.

The busy values y of n windows, mostly weeks, are taken for y = X b + e. X has a level, a slope and,
from a year on, harmonics of the year. Of the errors e a part is a window's own, and a part is like
that of the windows before: with d windows between two values, their correlation is

    W = u I + (1 - u) r^d.

Compound growth is a straight line of the logarithm of y.

Robust: a Huber fit finds what is far off, and values more than three scales off are drawn in. For
given r and u least squares on values whitened by W are exact. With flat priors of b, log sigma and
u, and one of r that falls to 0 at 1, where errors could not be told from a trend, b given r and u
is a multivariate t distribution around that fit, and these weigh as

    p(r, u | y) ~ (1 - r)^(1/2) |W|^(-1/2) |X' W^-1 X|^(-1/2) RSS^(-(n - p) / 2)

(the restricted likelihood, times the prior). The mixture over a grid of them has the mean and the
scale that :class:`Trend` holds, with n - p degrees of freedom: so the interval is wider than one
that takes estimates of r and u for the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from scipy.linalg import solve_triangular

from twin.core.arrays import Floats, Ints
from twin.core.units import DAY_S, YEAR_S

LEAST_DAYS: Final = 26 * 7
"""Days with a busy value that growth is fitted to at least."""
HARMONICS: Final = ((728, 3), (546, 2), (364, 1))
"""From so many days on, the harmonics of the year that are fitted."""
_EACH: Final = 3
"""Least number of busy values for each coefficient."""

_CORRELATIONS: Final = (np.arange(20) + 0.5) / 20
_OWN: Final = (np.arange(6) + 0.5) / 6
"""Shares u of the errors' variance that are a window's own."""
_HUBER: Final = 1.345
"""Scales from which on a residual counts less: 95 % as efficient as least squares where none is."""
_FAR: Final = 3.0
"""Scales beyond which a residual is drawn in."""
_ROUNDS: Final = 20
_MAD: Final = 1.4826
"""Standard deviations in a median absolute deviation, of normal values."""
_ROUNDING: Final = 1e-24


@dataclass(frozen=True, slots=True)
class Trend:
    """The trend of one link; times are years from the end of the trace on."""

    coefficients: Floats
    """Level, slope a year, then cosine and sine of each harmonic, [p]."""
    scale: Floats
    """Scale matrix of the coefficients, [p, p]."""
    freedom: int
    """Degrees of freedom of their t distribution."""

    @property
    def harmonics(self) -> int:
        """Number of harmonics of the year."""
        return (len(self.coefficients) - 2) // 2

    def at(self, years: Floats) -> Floats:
        """Return the trend with its season at times, of the shape of `years`."""
        return np.asarray(design(years, self.harmonics) @ self.coefficients)

    def season(self, years: Floats) -> Floats:
        """Return what the season alone adds at times."""
        return np.asarray(design(years, self.harmonics)[:, 2:] @ self.coefficients[2:])

    def deviation(self, years: Floats) -> Floats:
        """Return the scale of the t distribution of :meth:`at`."""
        rows = design(years, self.harmonics)
        return np.asarray(np.sqrt(np.einsum("ti,ij,tj->t", rows, self.scale, rows)))


def harmonics_for(days: float, values: int) -> int:
    """Return how many harmonics of the year are told from a trend by values over so many days."""
    return next(
        (
            count
            for least, count in HARMONICS
            if days >= least and values >= _EACH * (2 + 2 * count)
        ),
        0,
    )


def design(years: Floats, harmonics: int) -> Floats:
    """Return level, slope and harmonics at times, [times, 2 + 2 harmonics]."""
    turns = 2 * np.pi * years
    waves = [wave(k * turns) for k in range(1, harmonics + 1) for wave in (np.cos, np.sin)]
    return np.stack([np.ones_like(years), years, *waves], axis=1)


def fit(places: Ints, values: Floats, window_s: float) -> list[Trend]:
    """Return the trend of each link whose `values` [windows, links] are known in the same windows.

    `places` are the numbers of these windows, of `window_s` each; the last one is 0, others are
    below.
    """
    years = np.asarray(places * (window_s / YEAR_S), dtype=np.float64)
    days = (1 - int(places[0])) * window_s / DAY_S
    rows = design(years, harmonics_for(days, len(places)))
    both = np.hstack([rows, _drawn_in(rows, values)])
    n, p = rows.shape
    apart = np.abs(places[:, None] - places)
    weights, betas, scales = [], [], []
    for correlation, own in product(_CORRELATIONS, _OWN):
        like = (1 - own) * correlation**apart
        np.fill_diagonal(like, 1.0)
        root = np.linalg.cholesky(like)
        white = solve_triangular(root, both, lower=True, check_finite=False)
        q, r = np.linalg.qr(white[:, :p])
        target, along = white[:, p:], q.T @ white[:, p:]
        total = np.square(target).sum(axis=0)
        left = np.square(target - q @ along).sum(axis=0)
        left = np.maximum(left, _ROUNDING * total + np.finfo(float).tiny)
        inverse = np.linalg.inv(r)
        determinants = np.log(np.diag(root)).sum() + np.log(np.abs(np.diag(r))).sum()
        prior = 0.5 * np.log(1 - correlation)
        weights.append(prior - determinants - 0.5 * (n - p) * np.log(left))
        betas.append((inverse @ along).T)
        scales.append(left[:, None, None] / (n - p) * (inverse @ inverse.T))
    return _mixed(np.array(weights), np.array(betas), np.array(scales), n - p)


def _mixed(weights: Floats, betas: Floats, scales: Floats, freedom: int) -> list[Trend]:
    """Return mean and scale of the mixture over the first axis."""
    shares = np.exp(weights - weights.max(axis=0))
    shares /= shares.sum(axis=0)
    mean = np.einsum("kl,klp->lp", shares, betas)
    apart = betas - mean
    scale = np.einsum("kl,klpq->lpq", shares, scales)
    scale += np.einsum("kl,klp,klq->lpq", shares, apart, apart)
    return [Trend(b, s, freedom) for b, s in zip(mean, scale, strict=True)]


def _drawn_in(rows: Floats, values: Floats) -> Floats:
    """Return `values`, those far from a Huber fit drawn in to where they count as outliers."""
    weights = np.ones_like(values)
    for _ in range(_ROUNDS):
        normal = np.einsum("np,nl,nq->lpq", rows, weights, rows)
        right = np.einsum("np,nl,nl->lp", rows, weights, values)
        fitted = rows @ np.linalg.solve(normal, right[..., None])[..., 0].T
        left = values - fitted
        scale = _MAD * np.median(np.abs(left), axis=0)
        near = _HUBER * np.maximum(scale, np.finfo(float).tiny)
        weights = near / np.maximum(np.abs(left), near)
    return np.asarray(fitted + np.clip(left, -_FAR * scale, _FAR * scale))
