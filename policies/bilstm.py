"""The paper's forecast under ONNX Runtime, allocated as it is."""

import numpy as np

from twin import History, Margin, Observation, Policy, model_for_kpis


class BiLSTM(Policy):
    """Point forecast of a bidirectional LSTM, plus a margin.

    `model` is the name or file of a model; by default the shipped one for all four KPIs,
    or for traffic alone where the trace has no more.
    """

    model: str = "auto"
    margin: Margin = 0.0

    def models(self, kpis: tuple[str, ...]) -> tuple[str, ...]:
        return (model_for_kpis("bilstm", kpis) if self.model == "auto" else self.model,)

    def fit(self, history: History) -> None:
        (self._model,) = self.models(tuple(history.kpis))

    def for_links(self, links: np.ndarray) -> Policy:
        return self

    def allocate(self, observation: Observation) -> np.ndarray:
        return observation.highest_forecast(self._model) * (1 + self.margin)
