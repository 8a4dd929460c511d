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

    def forward(self, tokens: Tensor, asked: int) -> Tensor:
        """Return the last `asked` tokens, (B, asked, width), of tokens (B, P, width) that all are looked at."""
        kept = tokens[:, -asked:] + self.drop(self.attend(self.norm_attention(tokens), asked))
        out: Tensor = kept + self.drop(self.forward_layer(self.norm_forward(kept)))
        return out

    def attend(self, tokens: Tensor, asked: int) -> Tensor:
        """Return multi-head scaled dot-product attention of the last `asked` tokens to all."""
        query, key, value = self.project(tokens).chunk(3, dim=-1)
        parts = self._by_head(query[:, -asked:]), self._by_head(key), self._by_head(value)
        mixed = functional.scaled_dot_product_attention(*parts)
        merged: Tensor = self.merge(mixed.transpose(1, 2).flatten(2))
        return merged

    def _by_head(self, part: Tensor) -> Tensor:
        """Return (B, heads, P, width / heads) of (B, P, width)."""
        rows, count, width = part.shape
        return part.reshape(rows, count, self.heads, width // self.heads).transpose(1, 2)


class TransformerCore(nn.Module):
    """A stack of attention blocks.

    Parameters
    ----------
    config : NetworkConfig
        Uses `layers`, and what :class:`AttentionBlock` uses.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(AttentionBlock(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.future = config.future_days

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens (B, P, width), each of which has seen all others; when not learning, only those of the future.

        Nothing else is asked of the last block; leaving the rest out takes a third off the time of a forecast.
        """
        last = len(self.blocks) - 1
        for number, block in enumerate(self.blocks):
            everything = self.training or number < last
            tokens = block(tokens, tokens.shape[1] if everything else self.future)
        normed: Tensor = self.norm(tokens)
        return normed


def transformer_network(config: NetworkConfig) -> QuantileNetwork:
    """Return an untrained network with a Transformer core."""
    return QuantileNetwork(config, TransformerCore(config))


class TransformerForecaster(NeuralForecaster):
    """Quantile forecasts by a Transformer over days; shipped trained for load and solar output."""

    kind = "transformer"
    build = staticmethod(transformer_network)
