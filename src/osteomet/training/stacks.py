"""Networks that learn from whole stacks of slices, or their slices one by one, prepared on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, Dataset

from osteomet.core.errors import DatasetError
from osteomet.nn.augment import Augmentation, draw_affine, move
from osteomet.nn.losses import dice_cross_entropy
from osteomet.training.fit import Batch, Progress, Task, Validation, fit
from osteomet.training.phantom_part import one_thread
from osteomet.training.processes import Team
from osteomet.training.settings import FitSettings

_SLICES_AT_ONCE = 8
_MOST_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack on disk, slices along the last axis.

    Parameters
    ----------
    name
        For messages.
    images
        ``.npy`` of uint8, which a network sees divided by 255, or of floats, (sequences, i, j, k).
    inputs
        Rows of it that a network sees.
    labels
        ``.npy`` of classes, uint8, (i, j, k).
    n_slices, slices
        How many there are, and those that show any class but background.
    mask
        ``.npy`` of where a network may look, bool, (i, j, k): elsewhere images and classes are 0. None: everywhere.
    """

    name: str
    images: Path
    inputs: tuple[int, ...]
    labels: Path
    n_slices: int
    slices: tuple[int, ...]
    mask: Path | None = None

    def read_images(self, k: int | None = None) -> NDArray[np.float32]:
        """What a network sees of the stack, or of one slice."""
        chosen = np.load(self.images, mmap_mode="r")[..., slice(None) if k is None else k]
        images = np.stack([chosen[row] for row in self.inputs]).astype(np.float32)
        if chosen.dtype == np.uint8:
            images /= 255
        return images if self.mask is None else images * _read(self.mask, k)

    def read_labels(self, k: int | None = None) -> NDArray[np.int64]:
        """Classes of the stack, or of one slice."""
        labels = _read(self.labels, k).astype(np.int64)
        return labels if self.mask is None else labels * _read(self.mask, k)


def _read(path: Path, k: int | None) -> NDArray[Any]:
    return np.array(np.load(path, mmap_mode="r")[..., slice(None) if k is None else k])


@dataclass(frozen=True, slots=True, eq=False)
class StackTask:
    """What a network shall learn from stacks.

    ``lesion_share`` of what it is shown, slices in 2 dimensions and stacks in 3, has a class but background;
    ``classes`` are named for messages, background first.
    """

    name: str
    network: nn.Module
    classes: tuple[str, ...]
    train: tuple[Stack, ...]
    validation: tuple[Stack, ...]
    dimensions: int
    batch: int
    augmentation: Augmentation
    lesion_share: float
    seed: int
    foreground_weight: float = 1.0
    entropy_weight: float = 1.0


def fit_stacks(
    task: StackTask,
    settings: FitSettings,
    folder: Path,
    *,
    device: str,
    report: Callable[[Progress], None],
    team: Team = Team(),  # noqa: B008 - immutable
) -> nn.Module:
    """Train a network; returns it with the weights of its best evaluation, ready to predict.

    Where no stack to validate on shows a class, every network would be the best: then the last weights count.

    Raises
    ------
    DatasetError
        If there is nothing to learn from or to validate on, no case shows some class, or a prepared file cannot be
        read.
    """
    for part, stacks in (("to train on", task.train), ("to validate on", task.validation)):
        if not stacks:
            raise DatasetError(
                f"there is no case {part} for {task.name}", remedy="bring more patients with all of its sequences"
            )
    _check_classes(task)
    shows_any = any(stack.slices for stack in task.validation)
    whole = Task(
        task.name,
        task.network,
        partial(_batches, task, settings.n_steps, team, _count_workers(device, team)),
        partial(_validate, task=task, device=device) if shows_any else None,
        task.foreground_weight,
        task.entropy_weight,
    )
    weights = fit(whole, settings, folder, device=device, report=report, team=team)
    task.network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return task.network.eval()


@torch.no_grad()
def predict_stack(
    network: nn.Module, images: NDArray[np.float32], *, dimensions: int, device: str
) -> NDArray[np.float32]:
    """Probability of every class in every voxel of a stack.

    Parameters
    ----------
    network
        In evaluation mode.
    images
        Inputs, (inputs, i, j, k).
    dimensions
        2: slice by slice; 3: the stack at once.

    Returns
    -------
    Float32, (classes, i, j, k).
    """
    stack = torch.from_numpy(images).to(device)
    with torch.autocast(device_type=device, dtype=torch.bfloat16):
        if dimensions == 3:
            logits = network(stack[None])[0]
        else:
            slices = torch.split(stack.permute(3, 0, 1, 2), _SLICES_AT_ONCE)
            logits = torch.cat([network(some) for some in slices]).permute(1, 2, 3, 0)
    return np.asarray(logits.float().softmax(dim=0).cpu().numpy(), dtype=np.float32)


def _check_classes(task: StackTask) -> None:
    """Refuse a class that no case shows: a network that never sees it learns to call it nowhere."""
    missing = set(range(1, len(task.classes)))
    for stack in task.train:
        if not missing:
            return
        if stack.slices:
            try:
                missing -= set(np.unique(np.load(stack.labels)).tolist())
            except (OSError, ValueError) as error:
                raise _unreadable(stack.name, error) from error
    if missing:
        raise DatasetError(
            f"no case to train {task.name} on shows {', '.join(task.classes[n] for n in sorted(missing))}",
            remedy="look whether the label maps hold what dataset.json or labels.json names, or bring cases with it",
        )


def _validate(network: nn.Module, *, task: StackTask, device: str) -> Validation:
    """Mean loss over whole stacks, and the mean over classes of the Dice pooled over all voxels."""
    losses: list[float] = []
    tables: list[NDArray[np.int64]] = []
    for stack in task.validation:
        probability = predict_stack(network, stack.read_images(), dimensions=task.dimensions, device=device)
        labels, n = stack.read_labels(), len(probability)
        pairs = (labels * n + probability.argmax(axis=0)).ravel()
        tables.append(np.bincount(pairs, minlength=n * n).reshape(n, n))
        logits = torch.from_numpy(np.log(np.maximum(probability, 1e-6)))[None]
        loss = dice_cross_entropy(
            logits,
            torch.from_numpy(labels)[None],
            foreground_weight=task.foreground_weight,
            entropy_weight=task.entropy_weight,
        )
        losses.append(float(loss))
    return Validation(float(np.mean(losses)), _mean_dice(np.sum(tables, axis=0)))


def _mean_dice(table: NDArray[np.int64]) -> float:
    """Mean Dice of the classes but background that reference (rows) or prediction show; 1 where neither shows one."""
    sizes = (table.sum(axis=0) + table.sum(axis=1))[1:]
    shown = sizes > 0
    return float((2 * table.diagonal()[1:][shown] / sizes[shown]).mean()) if shown.any() else 1.0


class _Batches(Dataset["Batch | DatasetError"]):
    """Batches by step, each a function of the seed and its number."""

    def __init__(self, task: StackTask, first: int, n_steps: int, team: Team) -> None:
        self.task, self.first, self.n_steps, self.team = task, first, n_steps, team
        self.every, self.shown = _places(task)

    def __len__(self) -> int:
        return self.n_steps - self.first

    def __getitem__(self, index: int) -> Batch | DatasetError:
        # An error travels as a value: raised in a worker it would reach the user as text about workers.
        step, items, names = self.first + index, [], []
        for item in self.team.share(self.task.batch):
            rng = np.random.default_rng([self.task.seed, step, item])
            is_shown = bool(self.shown) and rng.random() < self.task.lesion_share
            places = self.shown if is_shown else self.every
            number, k = places[int(rng.integers(len(places)))]
            stack = self.task.train[number]
            try:
                images, labels = torch.from_numpy(stack.read_images(k)), torch.from_numpy(stack.read_labels(k))
            except (OSError, ValueError) as error:
                return _unreadable(stack.name, error)
            items.append(move(images, labels, draw_affine(self.task.augmentation, rng)))
            names.append(stack.name)
        images, labels = (torch.stack(tensors) for tensors in zip(*items, strict=True))
        return Batch(images, labels, tuple(names))


def _places(task: StackTask) -> tuple[list[tuple[int, int | None]], list[tuple[int, int | None]]]:
    """Stack and slice of everything to choose from, and of what shows a class; a whole stack has slice None."""
    if task.dimensions == 3:
        every: list[tuple[int, int | None]] = [(n, None) for n in range(len(task.train))]
        return every, [(n, None) for n, stack in enumerate(task.train) if stack.slices]
    every = [(n, k) for n, stack in enumerate(task.train) for k in range(stack.n_slices)]
    return every, [(n, k) for n, stack in enumerate(task.train) for k in stack.slices]


def _count_workers(device: str, team: Team) -> int:
    """One process beside a network that needs the processor itself, up to eight beside a GPU, to make batches."""
    return 1 if device == "cpu" else min(_MOST_WORKERS, max(1, (os.cpu_count() or 1) // team.size))


def _batches(task: StackTask, n_steps: int, team: Team, n_workers: int, start: int) -> Iterator[Batch]:
    """Batches from a step on, made ahead of the network; how many processes make them changes nothing in them."""
    if start >= n_steps:
        return
    data = _Batches(task, start, n_steps, team)
    loader = DataLoader(data, batch_size=None, num_workers=n_workers, prefetch_factor=4, worker_init_fn=one_thread)
    for batch in loader:
        if isinstance(batch, DatasetError):
            raise batch
        yield batch


def _unreadable(case: str, error: Exception) -> DatasetError:
    return DatasetError(
        f"the prepared images of case “{case}” cannot be read",
        got=f"{type(error).__name__}: {error}",
        remedy="remove the folder `prepared` of the study and go on with --resume: it is made again",
    )
