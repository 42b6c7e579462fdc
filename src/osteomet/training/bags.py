"""Networks that classify cubes, each trained on a bootstrap sample of the patients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim.swa_utils import update_bn

from osteomet.core.classifier import ScaledChannel
from osteomet.core.errors import InputError
from osteomet.nn.augment import draw_affine, move
from osteomet.nn.inputs import cube_inputs
from osteomet.nn.unet import build_network
from osteomet.training.classifier_recipe import ClassifierRecipe
from osteomet.training.fit import Batch, Progress, Task, fit

Tensors = dict[str, NDArray[Any]]
_N_STATISTICS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Cubes:
    """Cubes of lesions.

    Parameters
    ----------
    values
        Float32, shape (n, channels + 1, side, side, side): the images, then the mask of the lesion.
    truth
        Whether each lesion is of the positive class.
    patients
        Number of the patient of each lesion.
    names
        What each lesion is called in messages.
    """

    values: NDArray[np.float32]
    truth: NDArray[np.bool_]
    patients: NDArray[np.intp]
    names: tuple[str, ...]

    def part(self, rows: NDArray[np.intp]) -> Cubes:
        """Some of the lesions."""
        names = tuple(self.names[row] for row in rows)
        return Cubes(self.values[rows], self.truth[rows], self.patients[rows], names)


@dataclass(frozen=True, slots=True, eq=False)
class Bagged:
    """A fitted ensemble: how its channels are standardised, and the weights of each member."""

    channels: tuple[ScaledChannel, ...]
    members: tuple[Tensors, ...]


def fit_bagged(
    cubes: Cubes,
    channels: Sequence[str],
    recipe: ClassifierRecipe,
    folder: Path,
    *,
    key: Sequence[int],
    device: str,
    report: Callable[[int, Progress], None] = lambda *_: None,
) -> Bagged:
    """Train an ensemble on some lesions; nothing else is looked at.

    Parameters
    ----------
    cubes
        The training part.
    channels
        Names of the images.
    recipe
        How to train.
    folder
        Gets a folder for each member, from whose checkpoint a stopped training goes on.
    key
        Numbers that, with the seed of the recipe, all chance follows from: which repeat and fold this is.
    device
        Where networks run.
    report
        Called with the number of a member and how far it is.

    Raises
    ------
    InputError
        If a class has no lesion.
    OsteometError
        As `osteomet.training.fit.fit`.
    """
    for positive, label in zip((True, False), recipe.classes, strict=True):
        if not (cubes.truth == positive).any():
            raise InputError(f"a classifier needs lesions of both classes, and none is of “{label}”")
    scaled = tuple(_scaled(name, cubes.values[:, n]) for n, name in enumerate(channels))
    inputs = cube_inputs(cubes.values, scaled)
    members = []
    for member in range(recipe.n_members):
        seed = [recipe.seed, *key, member]
        torch.manual_seed(int(np.random.default_rng(seed).integers(2**31)))
        network = build_network(recipe.network(len(scaled)))
        bag = draw_bag(cubes.patients, cubes.truth, rng=np.random.default_rng([*seed, 1]))
        batches = partial(_batches, cubes, inputs, bag, recipe, [*seed, 2])
        task = Task(f"{recipe.name} {member}", network, batches, dice_weight=0.0)
        weights = fit(task, recipe.fit, folder / f"member_{member}", device=device, report=partial(report, member))
        members.append(_with_statistics(network, weights, islice(batches(0), _N_STATISTICS), device))
    return Bagged(scaled, tuple(members))


def _with_statistics(network: nn.Module, weights: Tensors, batches: Iterator[Batch], device: str) -> Tensors:
    """Weights with the statistics of batch normalisation taken anew: those of the training lag behind the weights."""
    network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    update_bn((batch.images for batch in batches), network, device=torch.device(device))
    return {name: value.cpu().contiguous().numpy().copy() for name, value in network.state_dict().items()}


def draw_bag(
    patients: NDArray[np.intp], truth: NDArray[np.bool_], *, rng: np.random.Generator
) -> tuple[tuple[NDArray[np.intp], ...], tuple[NDArray[np.intp], ...]]:
    """Draw patients with replacement, as many of each class as there are.

    Parameters
    ----------
    patients, truth
        Number of the patient of each lesion, and whether it is of the positive class.
    rng
        Source of the draw.

    Returns
    -------
    For the positive class and for the other one, the lesions of that class of each patient who was drawn.

    Examples
    --------
    >>> truth = np.array([True, True, True, False])
    >>> positive, negative = draw_bag(np.array([7, 7, 8, 9]), truth, rng=np.random.default_rng(1))
    >>> [len(positive), len(negative)], negative[0].tolist()
    ([2, 1], [3])
    """
    bags = []
    for is_positive in (True, False):
        rows = np.flatnonzero(truth == is_positive)
        known = np.unique(patients[rows])
        drawn = rng.choice(known, size=known.size)
        bags.append(tuple(rows[patients[rows] == patient] for patient in drawn))
    return bags[0], bags[1]


def _scaled(name: str, values: NDArray[np.float32]) -> ScaledChannel:
    """Mean and standard deviation of a channel; one that is constant everywhere becomes 0."""
    spread = float(values.std(dtype=np.float64))
    return ScaledChannel(name, float(values.mean(dtype=np.float64)), spread if spread > 0 else 1.0)


def _batches(
    cubes: Cubes,
    inputs: NDArray[np.float32],
    bag: tuple[tuple[NDArray[np.intp], ...], ...],
    recipe: ClassifierRecipe,
    seed: Sequence[int],
    start: int,
) -> Iterator[Batch]:
    """Batches from a step on: both classes in turn, of each any patient of the bag, of that any lesion."""
    for step in range(start, recipe.n_steps):
        rng = np.random.default_rng([*seed, step])
        images, classes, names = [], [], []
        for item in range(recipe.batch):
            which = (step * recipe.batch + item) % 2
            lesions = bag[which][int(rng.integers(len(bag[which])))]
            row = int(lesions[int(rng.integers(len(lesions)))])
            image = torch.from_numpy(inputs[row])
            affine = draw_affine(recipe.augmentation, rng)
            images.append(move(image, torch.zeros(image.shape[1:], dtype=torch.int64), affine)[0])
            classes.append(which)
            names.append(cubes.names[row])
        yield Batch(torch.stack(images), torch.tensor(classes), tuple(names))
