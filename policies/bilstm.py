"""The paper's forecast under ONNX Runtime, allocated as it is."""

import numpy as np

from twin import KPIS, Margin, Observation, Policy


class BiLSTM(Policy):
    """Point forecast of a bidirectional LSTM, plus a margin.

    `model` is the name or file of a model; by default the shipped one for all four KPIs,
    or for traffic alone where the trace has no more.
    """

    model: str = "auto"
    margin: Margin = 0.0

    def models(self, kpis: tuple[str, ...]) -> tuple[str, ...]:
        if self.model != "auto":
            return (self.model,)
        return ("bilstm",) if set(KPIS) <= set(kpis) else ("bilstm_traffic",)

    def allocate(self, observation: Observation) -> np.ndarray:
        (model,) = self.models(tuple(observation.kpis))
        return observation.forecast(model) * (1 + self.margin)
