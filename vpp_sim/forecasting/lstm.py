"""The LSTM core: reads the tokens of the past, then those of the future, and carries its state across [1]_.

References
----------
.. [1] S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997.
   https://doi.org/10.1162/neco.1997.9.8.1735
"""

from __future__ import annotations

from torch import Tensor, nn

from vpp_sim.forecasting.network import NetworkConfig, QuantileNetwork
from vpp_sim.forecasting.neural import NeuralForecaster

__all__ = ["LstmCore", "LstmForecaster", "lstm_network"]


class LstmCore(nn.Module):
    """LSTM over tokens with a skip connection around it.

    Parameters
    ----------
    config : NetworkConfig
        Uses `width`, `layers` and `dropout`.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        between = config.dropout if config.layers > 1 else 0.0
        self.lstm = nn.LSTM(config.width, config.width, config.layers, batch_first=True, dropout=between)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens (B, P, width); each has seen itself and those before it."""
        states: Tensor = self.lstm(tokens)[0]
        normed: Tensor = self.norm(tokens + states)
        return normed


def lstm_network(config: NetworkConfig) -> QuantileNetwork:
    """Return an untrained network with an LSTM core."""
    return QuantileNetwork(config, LstmCore(config))


class LstmForecaster(NeuralForecaster):
    """Quantile forecasts by an LSTM over days; shipped trained for load and solar output."""

    kind = "lstm"
    build = staticmethod(lstm_network)
