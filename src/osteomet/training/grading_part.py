"""Train one grader on maps prepared on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from osteomet.core.errors import DatasetError
from osteomet.nn.augment import draw_affine, move_image
from osteomet.nn.graders import build_grader
from osteomet.training.fit import Batch, Progress, Task, fit
from osteomet.training.grading import GraderRecipe, GradingRecipe
from osteomet.training.processes import Team


@dataclass(frozen=True, slots=True)
class GradedMap:
    """The map of an exam on disk, ``.npy`` of float32 (inputs, rows, columns), and the number of its grade."""

    case: str
    file: Path
    grade: int

    def read(self) -> NDArray[np.float32]:
        """The map.

        Raises
        ------
        DatasetError
            If the file cannot be read.
        """
        try:
            return np.asarray(np.load(self.file), dtype=np.float32)
        except (OSError, ValueError) as error:
            raise DatasetError(
                f"the prepared map of case “{self.case}” cannot be read",
                got=f"{type(error).__name__}: {error}",
                remedy="remove the folder `prepared` of the study and go on with --resume: it is made again",
            ) from error


def fit_grader(
    recipe: GradingRecipe,
    name: str,
    train: Sequence[GradedMap],
    folder: Path,
    *,
    fold: int,
    device: str,
    report: Callable[[Progress], None],
    team: Team = Team(),  # noqa: B008 - immutable
) -> nn.Module:
    """Train the network of this name, for as many steps as the recipe says; returns it ready to grade.

    The loss is the cross-entropy alone. No exam is held back to choose weights by: what is held out is for the test.

    Raises
    ------
    DatasetError
        If a prepared map cannot be read. And whatever `fit` raises.
    """
    wanted = recipe.networks[name]
    torch.manual_seed(wanted.seed + fold)
    network = build_grader(
        wanted.network, n_inputs=recipe.n_inputs, n_outputs=len(recipe.data.grades), sides=recipe.sides
    )
    batches = partial(_batches, recipe, wanted, tuple(train), wanted.seed + fold, team)
    task = Task(f"{name}, fold {fold}", network, batches, dice_weight=0.0)
    weights = fit(task, wanted.settings, folder, device=device, report=report, team=team)
    network.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    return network.eval()


def _batches(
    recipe: GradingRecipe, wanted: GraderRecipe, train: tuple[GradedMap, ...], seed: int, team: Team, start: int
) -> Iterator[Batch]:
    """Batches from a step on, each a function of the seed and its number; every exam is as likely as the others."""
    for step in range(start, wanted.n_steps):
        images, targets, names = [], [], []
        for item in team.share(wanted.batch):
            rng = np.random.default_rng([seed, step, item])
            chosen = train[int(rng.integers(len(train)))]
            image = torch.from_numpy(chosen.read())
            images.append(move_image(image, draw_affine(recipe.augmentation, rng)) if wanted.augment else image)
            targets.append(chosen.grade)
            names.append(chosen.case)
        yield Batch(torch.stack(images), torch.tensor(targets), tuple(names))
