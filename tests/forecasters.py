"""What tests of forecasters share: the shipped models, a generated trace, forecasts of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from twin.demand.gaps import ArrayFeed
from twin.demand.synthetic import generate
from twin.forecast.forecaster import Forecaster

MODELS = Path(__file__).resolve().parents[1] / "models"
PAPERS = ("bilstm", "bilstm_traffic")
SMALL = ("compact", "compact_traffic", "quantile", "quantile_traffic")
SHIPPED = (*PAPERS, *SMALL, "ridge", "ridge_traffic", "trees", "trees_traffic")
HISTORY = 600

Kpis = dict[str, NDArray[np.float64]]


@pytest.fixture(params=SHIPPED)
def forecaster(request: pytest.FixtureRequest) -> Forecaster:
    """Each shipped model in turn."""
    return Forecaster.load(MODELS / f"{request.param}.onnx")


@pytest.fixture
def kpis() -> Kpis:
    """Four KPIs of three generated links."""
    return generate(3, facilities=3, samples=800)


def forecasts(forecaster: Forecaster, kpis: Kpis, start: int, stop: int) -> NDArray[np.float64]:
    """Return the forecasts of some samples, [samples, links], fitted on the first HISTORY ones."""
    bound = forecaster.bind(ArrayFeed(kpis), HISTORY, start, stop=stop)
    return np.array([bound.at(sample) for sample in range(start, stop)])
