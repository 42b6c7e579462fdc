"""All that a training needs to go on after a kill, in one safetensors file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from osteomet.core.errors import OsteometError

CHECKPOINT, BEST = "checkpoint.safetensors", "best.safetensors"


@dataclass(slots=True)
class TrainingState:
    """A training under way.

    ``mean`` is the exponential mean of the weights, a network of its own. ``best_dice`` is the best so far of the
    evaluations on whole images, ``n_since_best`` how many came after it.
    """

    network: nn.Module
    mean: nn.Module
    optimiser: torch.optim.Optimizer
    step: int = 0
    best_dice: float = -1.0
    n_since_best: int = 0


def save_state(state: TrainingState, folder: Path) -> None:
    """Write the checkpoint beside the old one, then replace it: a kill leaves one of the two whole."""
    tensors = {f"network.{n}": v.contiguous() for n, v in state.network.state_dict().items()}
    tensors |= {f"mean.{n}": v.contiguous() for n, v in state.mean.state_dict().items()}
    for index, values in state.optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{n}": v.contiguous() for n, v in values.items() if v is not None}
    facts = {"step": state.step, "best_dice": state.best_dice, "n_since_best": state.n_since_best}
    _write(tensors, folder / CHECKPOINT, {name: str(value) for name, value in facts.items()})


def load_state(state: TrainingState, folder: Path) -> None:
    """Take up the checkpoint of a stopped run, if there is one."""
    path = folder / CHECKPOINT
    if not path.exists():
        return
    tensors = load_file(path)
    for prefix, network in (("network.", state.network), ("mean.", state.mean)):
        network.load_state_dict({n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)})
    found: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("adam."):
            _, index, key = name.split(".")
            found.setdefault(int(index), {})[key] = value
    state.optimiser.load_state_dict({"state": found, "param_groups": state.optimiser.state_dict()["param_groups"]})
    with safe_open(path, "pt") as file:
        facts = file.metadata()
    state.step = int(facts["step"])
    state.best_dice, state.n_since_best = float(facts.get("best_dice", -1)), int(facts.get("n_since_best", 0))


def save_best(network: nn.Module, folder: Path, step: int) -> None:
    """Keep the weights of the best evaluation."""
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    _write(tensors, folder / BEST, {"step": str(step)})


def load_best(network: nn.Module, folder: Path) -> None:
    """Take up the weights of the best evaluation, if there was one."""
    if (folder / BEST).exists():
        network.load_state_dict(load_file(folder / BEST))


def _write(tensors: dict[str, Tensor], path: Path, facts: dict[str, str]) -> None:
    """Write one file whole or not at all."""
    temporary = path.with_suffix(".partial")
    try:
        save_file(tensors, temporary, metadata=facts)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OsteometError(
            f"the checkpoint {path} could not be written",
            got=error.strerror or str(error),
            remedy="free space, then go on with --resume",
        ) from error
