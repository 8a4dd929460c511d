"""Trained policies in action: features, a few matrix products, an action for every battery.

Neither torch nor stable-baselines3 is needed to act.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from vpp_sim.arrays import FloatArray
from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess.actions import asked_powers
from vpp_sim.ess.features import storage_features
from vpp_sim.ess.network import ActionNetwork
from vpp_sim.ess.protocol import AskingController, StorageObservation, horizon_steps, require_observation
from vpp_sim.ess.weights import PRETRAINED, PolicyCard, load_policy, read_policy_card

__all__ = ["DqnController", "PolicyController", "PpoController"]


class PolicyController(AskingController):
    """Acts by a network on all batteries in one batch.

    Parameters
    ----------
    network : ActionNetwork
        The trained network.
    card : PolicyCard, optional
        How it was trained.
    """

    needs_truth = False
    kind: ClassVar[str]

    def __init__(self, network: ActionNetwork, card: PolicyCard | None = None) -> None:
        self.network, self.card = network, card

    @classmethod
    def open(cls, step_s: int, folder: Path = PRETRAINED) -> Self:
        """Return the shipped policy, or the one in `folder`, for steps of `step_s` seconds.

        Raises
        ------
        PhysicsError
            If an hour is no whole number of steps.
        DataError
            If the policy is missing or is not what its card describes.
        """
        horizon_steps(step_s / 3600)
        return cls(load_policy(cls.kind, folder), read_policy_card(cls.kind, folder))

    def ask(self, fleet: BatteryFleet, observation: StorageObservation) -> tuple[FloatArray, FloatArray]:
        """Return what the best action of each battery stands for before limits cut it, each of shape (n,) [kW]."""
        require_observation(fleet, observation)
        seen = storage_features(
            fleet,
            observation.soc_kwh,
            observation.net_kw,
            observation.buy_eur_per_kwh,
            observation.sell_eur_per_kwh,
            observation.hour,
            observation.step_h,
        )
        action = self.network.actions(seen)
        return asked_powers(fleet, observation.net_kw[:, 0], action)


class DqnController(PolicyController):
    """A deep Q-network (V. Mnih et al., Nature 518:529, 2015, https://doi.org/10.1038/nature14236)."""

    kind = "dqn"


class PpoController(PolicyController):
    """Proximal policy optimisation (J. Schulman et al., 2017, https://arxiv.org/abs/1707.06347), acting greedily."""

    kind = "ppo"
