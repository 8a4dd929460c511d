"""The Transformer core: every token attends to every token of past and future [1]_.

Nothing is masked: the future tokens hold the calendar and what the context says, never a value of the target.

References
----------
.. [1] A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017. https://doi.org/10.48550/arXiv.1706.03762
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from vpp_sim.forecasting.network import NetworkConfig, QuantileNetwork
from vpp_sim.forecasting.neural import NeuralForecaster

__all__ = ["AttentionBlock", "TransformerCore", "TransformerForecaster", "transformer_network"]


class AttentionBlock(nn.Module):
    """Pre-norm self-attention and a feed-forward layer, each with a skip connection.

    Parameters
    ----------
    config : NetworkConfig
        Uses `width`, `heads` and `dropout`.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.norm_attention, self.norm_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.forward_layer = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.drop = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens of the shape given, (B, P, width)."""
        tokens = tokens + self.drop(self.attend(self.norm_attention(tokens)))
        out: Tensor = tokens + self.drop(self.forward_layer(self.norm_forward(tokens)))
        return out

    def attend(self, tokens: Tensor) -> Tensor:
        """Return multi-head scaled dot-product attention of the tokens to one another."""
        rows, count, width = tokens.shape
        parts = self.project(tokens).reshape(rows, count, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        merged: Tensor = self.merge(mixed.transpose(1, 2).reshape(rows, count, width))
        return merged


class TransformerCore(nn.Module):
    """A stack of attention blocks.

    Parameters
    ----------
    config : NetworkConfig
        Uses `layers`, and what :class:`AttentionBlock` uses.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(AttentionBlock(config) for _ in range(config.layers)))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens (B, P, width); each has seen all others."""
        normed: Tensor = self.norm(self.blocks(tokens))
        return normed


def transformer_network(config: NetworkConfig) -> QuantileNetwork:
    """Return an untrained network with a Transformer core."""
    return QuantileNetwork(config, TransformerCore(config))


class TransformerForecaster(NeuralForecaster):
    """Quantile forecasts by a Transformer over days; shipped trained for load and solar output."""

    kind = "transformer"
    build = staticmethod(transformer_network)
