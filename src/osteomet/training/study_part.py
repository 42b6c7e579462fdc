"""Train one variant of a study on prepared stacks, and let it predict."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from osteomet.core.errors import DatasetError
from osteomet.nn.augment import draw_affine, move
from osteomet.nn.losses import dice_cross_entropy
from osteomet.nn.nearest_unet import NearestUNet
from osteomet.nn.residual_attention_unet import ResidualAttentionUNet
from osteomet.training.fit import Batch, Progress, Task, Validation, fit
from osteomet.training.phantom_part import one_thread
from osteomet.training.prepare import Prepared, load_images, load_labels
from osteomet.training.processes import Team
from osteomet.training.study import StudyRecipe, Variant

_SLICES_AT_ONCE = 8
_MOST_WORKERS = 8


@dataclass(frozen=True, slots=True)
class StackSource:
    """Prepared stacks that a variant learns from, and the folder they lie in."""

    recipe: StudyRecipe
    variant: Variant
    cases: tuple[Prepared, ...]
    folder: Path
    seed: int

    def places(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Case and slice of everything to choose from, and of those with a lesion; stacks go whole, slice 0."""
        if self.variant.dimensions == 3:
            every = [(n, 0) for n in range(len(self.cases))]
            return every, [(n, 0) for n, case in enumerate(self.cases) if case.slices]
        n_slices = self.recipe.preprocessing.n_slices
        every = [(n, k) for n in range(len(self.cases)) for k in range(n_slices)]
        return every, [(n, k) for n, case in enumerate(self.cases) for k in case.slices]


def build_study_network(recipe: StudyRecipe, variant: Variant) -> nn.Module:
    """Build the network of a variant, with fresh weights."""
    wanted = recipe.network(variant)
    n_outputs = len(recipe.data.classes)
    if wanted.kind == "residual attention U-Net":
        return ResidualAttentionUNet(len(variant.inputs), n_outputs, wanted.channels)
    return NearestUNet(
        variant.dimensions, len(variant.inputs), n_outputs, wanted.channels, deep=wanted.deep_supervision
    )


def fit_variant(
    source: StackSource,
    validation: Sequence[Prepared],
    folder: Path,
    *,
    device: str,
    report: Callable[[Progress], None],
    team: Team = Team(),  # noqa: B008 - immutable
) -> nn.Module:
    """Train one variant; returns the network with the weights of its best evaluation, ready to predict.

    Raises
    ------
    DatasetError
        If no case has all sequences that the variant sees, or a prepared file cannot be read.
    """
    recipe, variant = source.recipe, source.variant
    if not source.cases or not validation:
        part = "to train on" if not source.cases else "to validate on"
        raise DatasetError(
            f"there is no case {part} for {variant.name}", expected=f"cases with {' and '.join(variant.inputs)}"
        )
    torch.manual_seed(source.seed)
    network = build_study_network(recipe, variant)
    evaluate = partial(_validate, cases=tuple(validation), source=source, device=device)
    settings = recipe.training.settings(variant.dimensions)
    task = Task(
        variant.name,
        network,
        partial(_batches, source, settings.n_steps, team, count_workers(device, team)),
        evaluate,
        recipe.training.foreground_weight,
        recipe.training.entropy_weight,
    )
    weights = fit(task, settings, folder, device=device, report=report, team=team)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return network.eval()


@torch.no_grad()
def predict_stack(
    network: nn.Module, images: NDArray[np.uint8], *, dimensions: int, device: str
) -> NDArray[np.float32]:
    """Probability of foreground in every voxel of a stack.

    Parameters
    ----------
    network
        In evaluation mode.
    images
        Inputs, uint8 (inputs, i, j, k).
    dimensions
        2: slice by slice; 3: the stack at once.

    Returns
    -------
    Float32, (i, j, k).
    """
    stack = torch.from_numpy(np.array(images)).float().div(255).to(device)
    with torch.autocast(device_type=device, dtype=torch.bfloat16):
        if dimensions == 3:
            logits = network(stack[None])[0]
        else:
            slices = stack.permute(3, 0, 1, 2).split(_SLICES_AT_ONCE)
            logits = torch.cat([network(some) for some in slices]).permute(1, 2, 3, 0)
    return np.asarray(1 - logits.float().softmax(dim=0)[0].cpu().numpy(), dtype=np.float32)


def _validate(network: nn.Module, cases: tuple[Prepared, ...], source: StackSource, device: str) -> Validation:
    """Mean loss over whole stacks, and Dice pooled over their voxels."""
    losses, overlap, size = [], 0, 0
    for case in cases:
        images, labels = (load_images(case, source.folder, source.variant.inputs), load_labels(case, source.folder))
        probability = predict_stack(network, images, dimensions=source.variant.dimensions, device=device)
        called = probability >= source.recipe.prediction.probability
        overlap += int(np.count_nonzero(called & (labels > 0)))
        size += int(np.count_nonzero(called) + np.count_nonzero(labels))
        inside = torch.from_numpy(np.clip(probability, 1e-6, 1 - 1e-6))
        logits = torch.stack([torch.log(1 - inside), torch.log(inside)])[None]
        losses.append(float(dice_cross_entropy(logits, torch.from_numpy(labels > 0).long()[None])))
    return Validation(float(np.mean(losses)), 2 * overlap / size if size else 1.0)


class _Batches(Dataset["Batch | DatasetError"]):
    """Batches by step, each a function of the seed and its number."""

    def __init__(self, source: StackSource, first: int, n_steps: int, team: Team) -> None:
        self.source, self.first, self.n_steps, self.team = source, first, n_steps, team
        self.every, self.with_lesion = source.places()

    def __len__(self) -> int:
        return self.n_steps - self.first

    def __getitem__(self, index: int) -> Batch | DatasetError:
        # An error travels as a value: raised in a worker it would reach the user as text about workers.
        step, batch = self.first + index, self.source.recipe.network(self.source.variant).batch
        items = []
        for item in self.team.share(batch):
            rng = np.random.default_rng([self.source.seed, step, item])
            is_shown = bool(self.with_lesion) and rng.random() < self.source.recipe.training.lesion_share
            places = self.with_lesion if is_shown else self.every
            number, k = places[int(rng.integers(len(places)))]
            try:
                items.append((*self._item(number, k, rng), self.source.cases[number].case))
            except (OSError, ValueError) as error:
                return _unreadable(self.source.cases[number].case, error)
        images, targets, names = zip(*items, strict=True)
        return Batch(torch.stack(images), torch.stack(targets), names)

    def _item(self, number: int, k: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """One slice or stack, moved at random."""
        case, source = self.source.cases[number], self.source
        images: NDArray[Any] = load_images(case, source.folder, source.variant.inputs)
        labels: NDArray[Any] = load_labels(case, source.folder)
        if source.variant.dimensions == 2:
            images, labels = images[..., k], labels[..., k]
        scaled = torch.from_numpy(np.array(images, dtype=np.float32) / 255)
        return move(
            scaled, torch.from_numpy(np.array(labels, dtype=np.int64)), draw_affine(source.recipe.augmentation, rng)
        )


def count_workers(device: str, team: Team) -> int:
    """How many processes make batches: one beside a network that needs the processor itself, up to eight beside a GPU."""
    return 1 if device == "cpu" else min(_MOST_WORKERS, max(1, (os.cpu_count() or 1) // team.size))


def _batches(source: StackSource, n_steps: int, team: Team, n_workers: int, start: int) -> Iterator[Batch]:
    """Batches from a step on, made ahead of the network by processes of their own; how many changes nothing in them."""
    if start >= n_steps:
        return
    data = _Batches(source, start, n_steps, team)
    loader = DataLoader(data, batch_size=None, num_workers=n_workers, prefetch_factor=4, worker_init_fn=one_thread)
    for batch in loader:
        if isinstance(batch, DatasetError):
            raise batch
        yield batch


def _unreadable(case: str, error: Exception) -> DatasetError:
    return DatasetError(
        f"the prepared images of case “{case}” cannot be read",
        got=f"{type(error).__name__}: {error}",
        remedy="remove the folder `prepared` of the training and go on with --resume: it is made again",
    )
