"""Train one network of a model on phantoms that are drawn as the training goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from osteomet.nn.inputs import network_inputs
from osteomet.nn.unet import build_network
from osteomet.training.backgrounds import Background, draw_background_sample
from osteomet.training.fit import Batch, Progress, Task, fit
from osteomet.training.mr_samples import MrSample, as_seen, draw_mr_sample
from osteomet.training.processes import Team
from osteomet.training.recipe import OptimiserRecipe, PartRecipe
from osteomet.training.samples import Sample, draw_sample
from osteomet.training.settings import FitSettings

_POOL = 160
_CHECKPOINT_EVERY = 100
_LOG_EVERY = 20


def fit_part(
    part: str,
    recipe: PartRecipe,
    optimiser: OptimiserRecipe,
    folder: Path,
    *,
    device: str,
    report: Callable[[Progress], None],
    backgrounds: tuple[Background, ...] = (),
    weights: Mapping[str, NDArray[Any]] | None = None,
    team: Team = Team(),  # noqa: B008 - immutable
) -> dict[str, NDArray[Any]]:
    """Train one network of a recipe, from these ``weights`` or else from nothing, and return the mean weights.

    Each step learns from one new sample and, for the rest of the batch, from a pool of the last ones, so that making
    phantoms does not hold the network up. All are a function of the step alone, hence a stopped run resumes where its
    last checkpoint stood and sees the same samples.
    """
    torch.manual_seed(recipe.seed)
    network = build_network(recipe.network)
    if weights is not None:
        network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    settings = FitSettings(
        n_steps=recipe.n_steps,
        learning_rate=optimiser.learning_rate,
        warm_up_steps=optimiser.warm_up_steps,
        weight_decay=optimiser.weight_decay,
        gradient_clip=optimiser.gradient_clip,
        ema_decay=optimiser.ema_decay,
        log_every=_LOG_EVERY,
        checkpoint_every=_CHECKPOINT_EVERY,
    )

    def batches(start: int) -> Iterator[Batch]:
        return _batches(part, recipe, backgrounds, team, start)

    task = Task(part, network, batches, foreground_weight=recipe.foreground_weight)
    return fit(task, settings, folder, device=device, report=report, team=team)


def _batches(
    part: str, recipe: PartRecipe, backgrounds: tuple[Background, ...], team: Team, start: int
) -> Iterator[Batch]:
    """Batches from a step on, once the pool holds what it held there."""
    first = max(0, start - _POOL)
    if start >= recipe.n_steps:
        return
    samples = iter(_loader(part, recipe, backgrounds, first))
    pool: deque[Sample | MrSample] = deque(maxlen=_POOL)
    for _ in range(start - first):
        pool.append(next(samples))
    for step in range(start, recipe.n_steps):
        pool.append(next(samples))
        yield _batch(pool, recipe, np.random.default_rng([recipe.seed, 2, step]), team, step)


class _Samples(Dataset[Sample | MrSample]):
    """Samples by number, from ``first`` on."""

    def __init__(self, part: str, recipe: PartRecipe, backgrounds: tuple[Background, ...], first: int) -> None:
        self.part, self.recipe, self.backgrounds, self.first = part, recipe, backgrounds, first

    def __len__(self) -> int:
        return self.recipe.n_steps - self.first

    def __getitem__(self, index: int) -> Sample | MrSample:
        number = self.first + index
        if (
            self.backgrounds
            and np.random.default_rng([self.recipe.seed, 7, number]).random() < self.recipe.background_share
        ):
            return draw_background_sample(self.part, self.backgrounds, self.recipe, number)
        if self.recipe.sequences:
            return draw_mr_sample(self.part, self.recipe, number)
        return draw_sample(self.part, self.recipe, number)


def _loader(
    part: str, recipe: PartRecipe, backgrounds: tuple[Background, ...], first: int
) -> DataLoader[Sample | MrSample]:
    """One worker process makes samples ahead of the network, in order."""
    return DataLoader(
        _Samples(part, recipe, backgrounds, first),
        batch_size=None,
        num_workers=1,
        prefetch_factor=8,
        worker_init_fn=one_thread,
    )


def one_thread(_worker: int) -> None:
    """Leave the cores to the network."""
    torch.set_num_threads(1)


def _changed(
    sample: Sample | MrSample, recipe: PartRecipe, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """What a network sees and shall say: on CT in another brightness and contrast, on MR as `mr_samples.as_seen`."""
    if isinstance(sample, MrSample):
        return as_seen(sample, rng)
    hu = sample.image_hu * rng.normal(1, 0.02) + rng.normal(0, 8)
    return network_inputs(hu, recipe.windows, sample.bones), sample.target


def _batch(
    pool: deque[Sample | MrSample], recipe: PartRecipe, rng: np.random.Generator, team: Team, step: int
) -> Batch:
    """The newest sample and older ones, each changed anew."""
    chosen = [pool[-1]] + [pool[int(n)] for n in rng.integers(len(pool), size=recipe.batch - 1)]
    changed = [_changed(sample, recipe, rng) for sample in chosen]
    mine = team.share(recipe.batch)
    images, targets = (np.stack([changed[n][part] for n in mine]) for part in (0, 1))
    names = (f"the samples of step {step}",)
    return Batch(torch.from_numpy(images), torch.from_numpy(targets).long(), names)
