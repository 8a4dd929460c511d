"""Quantile networks behind the forecaster protocol: arrays in, quantiles out, the same bits every time.

A forecaster is a few networks of one kind, of seeds of their own, whose quantiles are averaged [1]_: that steadies what
one year of few homes can teach, and averages of quantiles that are in order are in order.

References
----------
.. [1] B. Lakshminarayanan, A. Pritzel and C. Blundell, "Simple and Scalable Predictive Uncertainty Estimation using
   Deep Ensembles", NeurIPS 2017. https://doi.org/10.48550/arXiv.1612.01474
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from vpp_sim.arrays import FloatArray
from vpp_sim.errors import DataError
from vpp_sim.forecasting.fitting import SETTINGS, FitSettings, fit, single_thread
from vpp_sim.forecasting.model import ForecasterBase
from vpp_sim.forecasting.network import NetworkConfig, QuantileNetwork, WindowBatch
from vpp_sim.forecasting.protocol import FitReport, ForecastInputs, Progress, Task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vpp_sim.forecasting.windows import SeriesTable, Split

__all__ = ["MEMBERS", "NeuralForecaster"]

MEMBERS = 2
"""Networks whose quantiles are averaged."""

ROWS_AT_ONCE, ROWS_ALONE, WORKERS = 4096, 256, 2
"""Series in one pass, which bounds memory for large fleets; series below which one pass is fastest; passes at once."""


class NeuralForecaster(ForecasterBase):
    """Quantile networks as a forecaster; :mod:`lstm` and :mod:`transformer` name the core.

    Parameters
    ----------
    task : Task
        What is forecast.
    config : NetworkConfig, optional
        Sizes; those of the kind when left out.
    settings : FitSettings, optional
        How long and how fast to learn; those of the target when left out.
    members : int
        Networks whose quantiles are averaged.
    """

    trained = True
    sizes: ClassVar[dict[str, Any]] = {}
    """Sizes of the kind that differ from the defaults of a config."""

    def __init__(
        self,
        task: Task,
        *,
        config: NetworkConfig | None = None,
        settings: FitSettings | None = None,
        members: int = MEMBERS,
    ) -> None:
        super().__init__(task)
        self.settings, self.members = settings or SETTINGS[task.target], members
        self.config = config or NetworkConfig(
            core=self.kind,
            context_steps=task.context_steps,
            horizon_steps=task.horizon_steps,
            day_steps=task.day_steps,
            covariates=len(task.covariates),
            non_negative=task.non_negative,
            levels=task.levels,
            head_dropout=self.settings.head_dropout,
            **self.sizes,
        )
        self.networks: tuple[QuantileNetwork, ...] = ()

    @staticmethod
    def build(config: NetworkConfig) -> QuantileNetwork:
        """Return an untrained network; each kind has its own core."""
        raise DataError(f"no core for {config.core!r}")

    def fit(
        self,
        table: SeriesTable,
        *,
        train: Split,
        validation: Split,
        seed: int = 0,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> FitReport:
        """Fit each network with a seed of its own; see :class:`~vpp_sim.forecasting.protocol.Forecaster`.

        The losses reported are means over the networks, round by round.
        """
        results = []
        for member in range(self.members):
            kept = None if checkpoint is None else checkpoint.with_name(f"{checkpoint.name}.{member}")
            own = None if progress is None else _part_of(progress, member, self.members)
            fitted = fit(
                self.build,
                self.config,
                table,
                train=train,
                validation=validation,
                seed=int(np.random.SeedSequence([seed, member]).generate_state(1)[0]),
                settings=self.settings,
                progress=own,
                checkpoint=kept,
            )
            results.append(fitted)
        for kept in [] if checkpoint is None else checkpoint.parent.glob(f"{checkpoint.name}.*"):
            kept.unlink()
        self.networks = tuple(_rounded(result.network).eval() for result in results)
        rounds = max(len(result.losses) for result in results)
        padded = [[*r.losses, *[min(r.losses)] * (rounds - len(r.losses))] for r in results]
        return FitReport(
            losses=tuple(float(loss) for loss in np.mean(padded, axis=0)),
            best_round=max(result.best_epoch for result in results),
            parameters=sum(weight.numel() for network in self.networks for weight in network.parameters()),
            settings={**asdict(self.settings), "members": self.members},
        )

    def quantiles(self, inputs: ForecastInputs) -> FloatArray:
        """Return the mean of the networks' quantiles (n, H, Q) [unit of the history]."""
        self._require_fitted()
        history = _tensor(inputs.history)
        out: FloatArray = np.empty((len(history), self.task.horizon_steps, len(self.task.levels)), dtype=np.float64)

        def run(rows: slice) -> None:
            torch.set_num_threads(1)  # each thread has a setting of its own
            with torch.inference_mode():
                batch = _batch(history[rows], inputs)
                out[rows] = _mean([network(batch) for network in self.networks]).numpy()

        pieces = _pieces(len(history))
        with single_thread():
            if len(pieces) == 1:
                run(pieces[0])
            else:
                with ThreadPoolExecutor(WORKERS) as pool:
                    list(pool.map(run, pieces))
        return np.maximum.accumulate(out, axis=-1)

    def state(self) -> tuple[Mapping[str, Any], Mapping[str, NDArray[Any]]]:
        """Return the config, and the weights in half precision, to which they were rounded when fitted."""
        self._require_fitted()
        arrays = {
            f"{number}.{name}": tensor.half().numpy() if name not in _SCALERS else tensor.numpy()
            for number, network in enumerate(self.networks)
            for name, tensor in network.state_dict().items()
        }
        return asdict(self.config), arrays

    def _require_fitted(self) -> None:
        if not self.networks:
            raise DataError(f"the {self.kind} forecaster must be fitted or loaded first")

    @classmethod
    def restore(cls, task: Task, sizes: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the forecaster with these weights, in single precision."""
        config = NetworkConfig(**{**sizes, "levels": tuple(sizes["levels"])})
        members = 1 + max(int(name.partition(".")[0]) for name in arrays)
        model = cls(task, config=config, members=members)
        model.networks = tuple(cls._network(config, arrays, f"{number}.") for number in range(members))
        return model

    @classmethod
    def _network(cls, config: NetworkConfig, arrays: Mapping[str, NDArray[Any]], prefix: str) -> QuantileNetwork:
        network = cls.build(config)
        own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        network.load_state_dict({name: torch.tensor(array, dtype=torch.float32) for name, array in own.items()})
        return network.eval()


_SCALERS = ("centre", "spread")


def _part_of(progress: Progress, member: int, members: int) -> Progress:
    """Return what one of `members` fits reports to, as a part of the whole."""
    return lambda done, total, loss: progress(member * total + done, members * total, loss)


def _rounded(network: QuantileNetwork) -> QuantileNetwork:
    """Round weights to half precision in place, as they are stored, so that what is measured is what is shipped."""
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(weight.half().float())
    return network


def _pieces(rows: int) -> list[slice]:
    """Return the passes over so many series, the same on every machine, so that the bits are the same."""
    size = rows if rows <= ROWS_ALONE else min(-(-rows // WORKERS), ROWS_AT_ONCE)
    return [slice(first, first + size) for first in range(0, rows, max(size, 1))]


def _mean(each: Sequence[Tensor]) -> Tensor:
    return each[0] if len(each) == 1 else torch.stack(list(each)).mean(dim=0)


def _tensor(values: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _batch(history: Tensor, inputs: ForecastInputs) -> WindowBatch:
    """Return the batch of some rows; covariates and calendar are common to them."""
    rows = len(history)
    return WindowBatch(
        history=history,
        covariates=_tensor(inputs.covariates).expand(rows, -1, -1),
        hour=_tensor(inputs.hour).expand(rows, -1),
        day_of_week=torch.from_numpy(np.array(inputs.day_of_week, dtype=np.int64)).expand(rows, -1),
    )
