"""Classes of lesions by an ensemble of networks, and what in a cube decided them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from osteomet.core.classifier import ClassifierPart
from osteomet.core.errors import ModelError
from osteomet.inference.engine import Device, Engine, choose_device
from osteomet.inference.engine_torch import TorchEngine
from osteomet.inference.ensemble import Ensemble, load_weights
from osteomet.io.model_package import ModelPackage, Tensors
from osteomet.nn.inputs import cube_inputs
from osteomet.nn.occlusion import occlusion_of_cube, randomised
from osteomet.nn.unet import build_network

_AT_ONCE = 32


@dataclass(frozen=True, slots=True, eq=False)
class LesionClassifier:
    """An ensemble, ready to run."""

    part: ClassifierPart
    engine: Engine

    def probabilities(self, cubes: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probability of each class of each lesion, shape (n, n_classes).

        Parameters
        ----------
        cubes
            As `osteomet.image.cube.cut_cube` gives them, shape (n, channels + 1, side, side, side).
        """
        return self._run(cube_inputs(cubes, self.part.channels))

    def occlusion_map(self, cube: NDArray[np.float32]) -> NDArray[np.float32]:
        """How far the probability of the first class falls where a box of the images is covered.

        The box takes the mean values of the training; the mask of the lesion stays.

        Parameters
        ----------
        cube
            Of one lesion, shape (channels + 1, side, side, side).

        Returns
        -------
        Shape (side, side, side), see `osteomet.nn.occlusion.occlusion_of_cube`.
        """
        (inputs,) = cube_inputs(cube[None], self.part.channels)
        return occlusion_of_cube(lambda cubes: self._run(cubes)[:, 0], inputs, n_covered=len(self.part.channels))

    def _run(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities of standardised cubes, some at a time."""
        parts = [self.engine.predict(inputs[n : n + _AT_ONCE]) for n in range(0, len(inputs), _AT_ONCE)]
        return np.concatenate(parts).astype(np.float64)


def make_classifier(part: ClassifierPart, weights: Sequence[Tensors], *, device: Device) -> LesionClassifier:
    """Make networks with these weights ready to run, in float32.

    Raises
    ------
    UsageError
        If ``cuda`` is asked for and none can be used.
    ModelError
        If the weights are not those of the network.
    """
    return _ready(part, _members(part, weights), device)


def load_classifier(package: ModelPackage, *, device: Device) -> LesionClassifier:
    """Make the classifier of a package ready to run; raises as `make_classifier`, and where the package holds none."""
    part = package.description.classifier
    if part is None:
        raise ModelError(
            f"model {package.description.name!r} does not classify lesions",
            expected="a package that `osteomet classify fit` made",
            remedy="name the folder `package` of such a fit",
        )
    return make_classifier(part, [package.weights[name] for name in part.weights], device=device)


def randomised_classifier(
    part: ClassifierPart, weights: Sequence[Tensors], *, seed: int, device: Device
) -> LesionClassifier:
    """The same classifier with random weights: a map that explains decisions must change with them."""
    members = [randomised(member, seed + number) for number, member in enumerate(_members(part, weights))]
    return _ready(part, members, device)


def _members(part: ClassifierPart, weights: Sequence[Tensors]) -> list[nn.Module]:
    """Networks with their weights."""
    members = []
    for number, tensors in enumerate(weights):
        network = build_network(part.network)
        load_weights(network, tensors, f"network {number} of the classifier")
        members.append(network)
    return members


def _ready(part: ClassifierPart, members: Sequence[nn.Module], device: Device) -> LesionClassifier:
    engine = TorchEngine(Ensemble(members), n_outputs=part.network.n_outputs, device=choose_device(device), exact=True)
    return LesionClassifier(part, engine)
