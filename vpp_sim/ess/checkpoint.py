"""Trainings that were cut off and go on: everything that changes while a policy learns, in one file.

A file is written in one move, so a cut leaves the one before, and it is read back only by the training that wrote it.
What a stable-baselines3 model saves of itself is not enough to go on in the same bits: where the batteries stand, which
random numbers come next and, for DQN, what was seen so far belong to it too.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vpp_sim.errors import DataError

__all__ = ["Checkpoint", "learner_state", "restore_learner"]

_log = logging.getLogger(__name__)

_COUNTERS = (
    "num_timesteps",
    "_n_updates",
    "_n_calls",
    "_episode_num",
    "exploration_rate",
    "_current_progress_remaining",
)
_COLUMNS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
"""Arrays of a replay buffer, a row each step."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file that holds the state of one training.

    Attributes
    ----------
    path : path
        Where it stands, or will.
    key : str
        What the training is of; a file with another key is refused.
    """

    path: Path
    key: str

    def of(self, about: object) -> Checkpoint:
        """Return the same file with a key that also holds the digest of `about`, a tree of dataclasses and arrays."""
        digest = hashlib.sha256()
        for part in _parts(about):
            digest.update(part)
        return Checkpoint(self.path, f"{self.key}; {digest.hexdigest()}")

    def keep(self, state: Mapping[str, Any]) -> None:
        """Write `state`: numbers, text, tensors, and lists and mappings of them."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({**state, "key": self.key}, self._part)
        self._part.replace(self.path)

    def find(self) -> dict[str, Any] | None:
        """Return the state that was kept, or None if there is no file.

        Raises
        ------
        DataError
            If the file is of another training, or cannot be read.
        """
        if not self.path.is_file():
            return None
        try:
            found: dict[str, Any] = torch.load(self.path, weights_only=True)
            key = found["key"]
        except Exception as error:  # torch raises whatever its parts do
            raise DataError(f"{self.path} is no checkpoint; remove it to begin anew: {error}") from error
        if key != self.key:
            raise DataError(f"{self.path} is the checkpoint of another training; remove it or choose another folder")
        _log.info("going on from %s", self.path)
        return found

    def remove(self) -> None:
        """Remove the file, if there is one, and what a cut left of the next."""
        self.path.unlink(missing_ok=True)
        self._part.unlink(missing_ok=True)

    @property
    def _part(self) -> Path:
        return self.path.with_name(f"{self.path.name}.part")


def _parts(about: object) -> Iterator[bytes]:
    """Yield the bytes that a tree of dataclasses, sequences and arrays consists of."""
    if is_dataclass(about):
        for field in fields(about):
            yield field.name.encode()
            yield from _parts(getattr(about, field.name))
    elif isinstance(about, np.ndarray):
        yield repr((about.dtype.str, about.shape)).encode()
        yield np.ascontiguousarray(about).tobytes()
    elif isinstance(about, tuple | list):
        for part in about:
            yield from _parts(part)
    else:
        yield repr(about).encode()


def learner_state(model: Any) -> dict[str, Any]:
    """Return what a model, its batteries and its sources of randomness are before a rollout."""
    seen = None if model._last_obs is None else torch.from_numpy(model._last_obs)
    return {
        "policy": model.policy.state_dict(),
        "optimiser": model.policy.optimizer.state_dict(),
        "counters": {name: getattr(model, name) for name in _COUNTERS if hasattr(model, name)},
        "seen": seen,
        "begun": None if seen is None else torch.from_numpy(model._last_episode_starts),
        "lanes": _as_tensors(model.env.state()),
        "replay": _replay(model),
        "torch": torch.get_rng_state(),
        "numpy": _global_numpy_state(),
        "actions": model.action_space.np_random.bit_generator.state,
    }


def restore_learner(model: Any, state: Mapping[str, Any]) -> None:
    """Set a model that was made with the same arguments to a state of :func:`learner_state`."""
    model.policy.load_state_dict(state["policy"])
    model.policy.optimizer.load_state_dict(state["optimiser"])
    for name, value in state["counters"].items():
        setattr(model, name, value)
    if state["seen"] is not None:
        model._last_obs, model._last_episode_starts = state["seen"].numpy(), state["begun"].numpy()
    model.env.restore({name: _as_array(value) for name, value in state["lanes"].items()})
    _refill(model, state["replay"])
    torch.set_rng_state(state["torch"])
    _restore_global_numpy(state["numpy"])
    model.action_space.np_random.bit_generator.state = state["actions"]


def _as_tensors(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value for name, value in state.items()}


def _as_array(value: Any) -> Any:
    return value.numpy() if isinstance(value, torch.Tensor) else value


def _replay(model: Any) -> dict[str, Any]:
    """Return the rows of the replay buffer that are filled; a model without one has none."""
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None:
        return {}
    rows = buffer.buffer_size if buffer.full else buffer.pos
    columns = {name: torch.from_numpy(getattr(buffer, name)[:rows]).clone() for name in _COLUMNS}
    return {"pos": buffer.pos, "full": buffer.full, "columns": columns}


def _refill(model: Any, replay: Mapping[str, Any]) -> None:
    if not replay:
        return
    buffer = model.replay_buffer
    buffer.pos, buffer.full = replay["pos"], replay["full"]
    for name, column in replay["columns"].items():
        getattr(buffer, name)[: len(column)] = column.numpy()


def _global_numpy_state() -> dict[str, Any]:
    """Return the state of NumPy's global generator, which stable-baselines3 draws from."""
    state: dict[str, Any] = dict(np.random.get_state(legacy=False))  # noqa: NPY002
    inner = state["state"]
    return {**state, "state": {"key": inner["key"].tolist(), "pos": int(inner["pos"])}}


def _restore_global_numpy(state: Mapping[str, Any]) -> None:
    key = np.array(state["state"]["key"], dtype=np.uint32)
    np.random.set_state({**state, "state": {**state["state"], "key": key}})  # noqa: NPY002
