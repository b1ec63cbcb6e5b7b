"""The generated default trace: an operator's facilities over five weeks, with daily profiles."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Floats
from twin.core.units import DAY_S
from twin.demand.kpis import KPIS

# Stream ids: a facility's random numbers follow from (seed, facility, stream) alone.
_CHARACTER, _NOISE, _GAPS, _INCIDENTS = range(4)

# Levels, weekdays and drift of `internet` are fitted together, on the first facility, to the
# published shape of the series `s1` (Zenodo 8147768) and to the rows of both baselines in
# Sengendo and Granelli: history mean + 2 sigma 803 and P95 701; replayed mean 346, sigma 174,
# quartiles 184, 380 and 479. Nothing is rescaled to its own statistics afterwards.
# Hours of the anchor points of a day, and the level of each KPI at each of them.
_HOURS: Final = (0, 1, 2, 3, 4.33, 5.5, 7, 8.33, 9.5, 11, 12.5, 14.5, 16, 18, 19.5, 21, 22, 23)
_LEVELS: Final = {
    "internet": (
        302, 216, 168, 120, 80, 139, 264, 403, 456, 471, 496, 661, 600, 498, 622, 796, 659, 476,
    ),
    "downstream": (
        330, 240, 165, 105, 70, 110, 235, 330, 395, 410, 450, 610, 560, 500, 700, 880, 740, 520,
    ),
    "sessions": (
        190, 140, 105, 80, 70, 110, 260, 510, 720, 770, 690, 790, 740, 520, 470, 480, 400, 290,
    ),
    "vpn": (
        60, 45, 35, 30, 30, 60, 190, 540, 760, 790, 610, 770, 690, 330, 210, 160, 120, 85,
    ),
}  # fmt: skip
# Factors of the days from the trace's first on, repeated weekly.
_WEEKDAYS: Final = {
    "internet": (1.023, 1.002, 0.989, 0.987, 0.99, 0.918, 0.821),
    "downstream": (1.0, 1.0, 0.98, 0.99, 1.02, 1.0, 0.95),
    "sessions": (1.02, 1.02, 1.0, 1.0, 0.97, 0.7, 0.62),
    "vpn": (1.03, 1.02, 1.0, 1.0, 0.9, 0.3, 0.25),
}
# Slow change of the level: factors at days since the start, interpolated, repeated in turn.
_DRIFT_DAYS: Final = (0, 7, 14, 21, 28, 31, 34, 38, 49)
_DRIFT: Final = (1.009, 1.011, 1.013, 1.027, 1.017, 0.929, 0.826, 0.807, 0.804)
_DRIFT_PERIOD: Final = 56.0
"""Days after which the drift repeats."""

_QUIETEST_H: Final = 4.33
"""Hour of least traffic, around which one day's factor gives way to the next day's."""


class _Character(NamedTuple):
    """How a facility differs from others; the defaults are those of the first facility."""

    level: float = 1.0
    """Factor of all levels."""
    phase_h: float = 0.0
    """Hours by which its day is late."""
    peakiness: float = 1.0
    """Exponent of the daily profile: above 1, peaks are higher and nights lower."""
    weekend: float = 1.0
    """Factor of the weekend, on top of the weekday's."""
    drift_shift_days: float = 0.0
    """Days by which its drift is ahead."""


def generate(
    seed: int, facilities: int = 4, samples: int = 10_738, step_s: int = 300
) -> dict[str, Floats]:
    """Return the KPIs of `facilities` links, each [samples, facilities], on a 0-1000 scale.

    The first sample is at midnight, and one follows every `step_s` seconds. `internet` and
    `downstream` are in Mbit/s. A sample that was not collected is NaN in every KPI.
    A facility's numbers do not depend on how many facilities there are.
    """
    kpis = {name: np.empty((facilities, samples)) for name in KPIS}
    for facility in range(facilities):
        for name, values in _facility(seed, facility, samples, step_s).items():
            kpis[name][facility] = values
    return {name: np.ascontiguousarray(values.T) for name, values in kpis.items()}


def _facility(seed: int, facility: int, samples: int, step_s: int) -> dict[str, Floats]:
    """Return the KPIs of one facility, each [samples].

    max(level x wander x incidents x (1 + sigma x noise), 0). With the noise n_0 of the first KPI,
    that of another one is 0.5 n_0 + sqrt(0.75) n_i: of sigma 1, and correlated with n_0 by 0.5.
    """
    rng = [
        np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(facility, stream)))
        for stream in range(4)
    ]
    character = _Character() if facility == 0 else _draw_character(rng[_CHARACTER])
    day: Floats = np.arange(samples, dtype=np.float64) * (step_s / DAY_S)
    common = _wander(rng[_NOISE], day) * _incidents(rng[_INCIDENTS], samples, step_s)
    noise = _alternating_noise(rng[_NOISE], len(KPIS), samples)
    noise[1:] = 0.5 * noise[0] + 0.866 * noise[1:]
    noise *= _relative_noise(day)
    missing = _gaps(rng[_GAPS], samples, step_s)
    kpis = {}
    for name, own in zip(KPIS, noise, strict=True):
        level = _level(name, character, day) * common
        values = np.maximum(level * (1 + own), 0)
        values[missing] = np.nan
        kpis[name] = values
    return kpis


def usual_course(day: Floats) -> Floats:
    """Return `internet` of the first facility without noise at times `day`, over its mean.

    `day` is in days since a midnight, [samples].
    """
    level = _level("internet", _Character(), day)
    return np.asarray(level / level.mean())


def _draw_character(rng: np.random.Generator) -> _Character:
    """Draw how a facility differs from the first: in size, hours, shape and drift."""
    return _Character(
        level=float(np.exp(rng.uniform(np.log(0.3), np.log(1.1)))),
        phase_h=float(rng.uniform(-1.5, 1.5)),
        peakiness=float(rng.uniform(0.6, 1.3)),
        weekend=float(rng.uniform(0.75, 1.15)),
        drift_shift_days=float(rng.uniform(0, _DRIFT_PERIOD)),
    )


def _level(kpi: str, character: _Character, day: Floats) -> Floats:
    """Return the level of a KPI without noise at times `day`, days since the start, [samples].

    The facility's level x profile of the day x drift x factor of the weekday.
    """
    profile = _profile(kpi, character.peakiness)
    slot = (day - character.phase_h / 24) % 1 * len(profile)
    daily = np.interp(slot, np.arange(len(profile) + 1), np.append(profile, profile[0]))
    drift = np.interp(day + character.drift_shift_days, _DRIFT_DAYS, _DRIFT, period=_DRIFT_PERIOD)
    factors = np.array(_WEEKDAYS[kpi])
    factors[5:] *= character.weekend
    return np.asarray(character.level * daily * drift * _by_day(factors, day))


def _profile(kpi: str, peakiness: float) -> Floats:
    """Return the level over a day, [288], in steps of 5 minutes: smoothed lines between anchors.

    The lines are smoothed by a Hann window of 9 steps. The outcome p becomes p^peakiness, scaled to
    the mean of p.
    """
    corners = np.interp(np.arange(288) / 12, _HOURS, _LEVELS[kpi], period=24)
    kernel = np.hanning(11)[1:-1]
    reach = len(kernel) // 2
    around = np.concatenate((corners[-reach:], corners, corners[:reach]))
    smooth = np.convolve(around, kernel / kernel.sum(), "valid")
    peaky = smooth**peakiness
    return np.asarray(peaky * (smooth.mean() / peaky.mean()))


def _by_day(factors: Floats, day: Floats) -> Floats:
    """Return the factor of the day at times `day`, days since the start, [samples].

    `factors` [days] repeat in turn; one gives way to the next within two hours of the night.
    """
    since = day - (_QUIETEST_H - 1) / 24
    index = np.floor(since).astype(np.int64)
    share = np.clip((since - index) * 12, 0, 1)
    return np.asarray(
        factors[(index - 1) % len(factors)] * (1 - share) + factors[index % len(factors)] * share
    )


def _wander(rng: np.random.Generator, day: Floats) -> Floats:
    """Return a factor that no calendar explains, [samples]: sigma 0.8 % by day and by hour."""
    days = int(day[-1]) + 2 if len(day) else 2
    by_hour = rng.normal(1.0, 0.008, days * 24)
    hourly = np.interp(day * 24, np.arange(days * 24), by_hour)
    return hourly * _by_day(rng.normal(1.0, 0.008, days), day)


def _relative_noise(day: Floats) -> Floats:
    """Return the noise's sigma over the level, [samples]: least at night, most in the afternoon."""
    awake = np.sin(((day * 24 - 6) % 24) / 18 * np.pi)
    return np.asarray(0.009 + 0.010 * np.clip(awake, 0, None))


def _alternating_noise(rng: np.random.Generator, series: int, samples: int) -> Floats:
    """Return noise of sigma 1, [series, samples], whose neighbours are correlated by -0.34.

    A moving average x[t] - 0.4 x[t-1] of white noise: -0.4 / (1 + 0.4**2) = -0.34.
    """
    white = rng.standard_normal((series, samples + 1))
    return np.asarray((white[:, 1:] - 0.4 * white[:, :-1]) / np.sqrt(1 + 0.4**2))


def _gaps(rng: np.random.Generator, samples: int, step_s: int) -> NDArray[np.bool_]:
    """Return where nothing was collected, [samples]: on average two short gaps a month.

    Long ones, of 70 min to 3 h, come 0.15 times a month.
    """
    months = samples * step_s / (30 * DAY_S)
    lasting = [rng.uniform(300, 3000, rng.poisson(2 * months))]
    lasting.append(rng.uniform(4200, 10_800, rng.poisson(0.15 * months)))
    missing = np.zeros(samples, dtype=np.bool_)
    for seconds in np.concatenate(lasting):
        first = int(rng.integers(1, max(samples - 1, 2)))
        # The first sample is always there: nothing before it could be interpolated from.
        missing[first : first + max(round(seconds / step_s), 1)] = True
    return missing


def _incidents(rng: np.random.Generator, samples: int, step_s: int) -> Floats:
    """Return the factor of drops and surges, [samples]: one a month, for 20 to 80 minutes."""
    factor = np.ones(samples)
    for _ in range(rng.poisson(samples * step_s / (30 * DAY_S))):
        first = int(rng.integers(0, samples))
        lasts = max(round(rng.uniform(1200, 4800) / step_s), 1)
        drop = rng.uniform() < 0.7
        factor[first : first + lasts] *= rng.uniform(0.3, 0.75) if drop else rng.uniform(1.1, 1.3)
    return factor
