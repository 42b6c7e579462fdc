"""The networks of one part of a package as one torch module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from osteomet.core.errors import ModelError
from osteomet.core.grader import GraderPart
from osteomet.core.model import AnyPart, NnunetPart
from osteomet.io.model_package import ModelPackage, Tensors
from osteomet.nn.graders import build_part
from osteomet.nn.unet import build_network


class Ensemble(nn.Module):
    """Mean of the softmax of its members; probabilities are averaged, not logits, as each member was trained alone."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Map (n, n_inputs, i, j, k) to probabilities (n, n_outputs, i, j, k), of whole images (n, n_outputs)."""
        first, *others = (torch.softmax(member(batch), dim=1) for member in self.members)
        return sum(others, start=first) / len(self.members) if others else first


class LogitEnsemble(nn.Module):
    """Mean of the logits of its members, which may be two-dimensional and see one slice: nnU-Net averages folds so."""

    def __init__(self, members: Sequence[nn.Module], *, flat: bool) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.flat = flat

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Map (n, n_inputs, i, j, k) to logits (n, n_outputs, i, j, k); i is 1 where the members are flat."""
        image = batch.squeeze(2) if self.flat else batch
        first, *others = (member(image) for member in self.members)
        mean: torch.Tensor = sum(others, start=first) / len(self.members) if others else first
        return mean.unsqueeze(2) if self.flat else mean


def build_ensemble(package: ModelPackage, part: AnyPart) -> Ensemble | LogitEnsemble:
    """Build the networks of a part, on the CPU and in evaluation mode, with the weights of the package.

    They give probabilities, those of nnU-Net logits.

    Raises
    ------
    ModelError
        If the weights are not those of the network that the package describes.
    """
    members = []
    for name in part.weights:
        network = build_part(part) if isinstance(part, GraderPart) else build_network(part.network)
        load_weights(network, package.weights[name], f"{name} of model {package.description.name!r}")
        members.append(network)
    if isinstance(part, NnunetPart):
        return LogitEnsemble(members, flat=part.spacing_mm[0] is None).eval()
    return Ensemble(members).eval()


def load_weights(network: nn.Module, tensors: Tensors, what: str) -> None:
    """Fill a network; names and shapes are compared first, so that the message can name the first difference."""
    expected, got = _shapes(network.state_dict()), _shapes(tensors)
    for key in sorted(expected.keys() | got.keys()):
        if expected.get(key) != got.get(key):
            raise ModelError(
                f"{what} does not fit the network that it describes",
                expected=f"{key} of shape {expected[key]}" if key in expected else f"no {key}",
                got=f"shape {got[key]}" if key in got else "none",
                remedy="use the version of osteomet that the model card names",
            )
    network.load_state_dict({key: torch.tensor(value) for key, value in tensors.items()})


def _shapes(tensors: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor by name."""
    return {key: tuple(value.shape) for key, value in tensors.items()}
