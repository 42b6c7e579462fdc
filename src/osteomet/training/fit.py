"""The training loop: schedule, evaluate, checkpoint, step, log, in reading order."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from osteomet.core.errors import OsteometError
from osteomet.nn.losses import IGNORED, deep_supervision, dice_cross_entropy
from osteomet.training.checkpoint import TrainingState, load_best, load_state, save_best, save_state
from osteomet.training.log import Progress, TrainingLog, Validation
from osteomet.training.processes import Team
from osteomet.training.settings import FitSettings, learning_rate

__all__ = ["Batch", "Progress", "Task", "Validation", "fit"]

Loss = Callable[[Tensor, Tensor], Tensor]
_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one step learns from.

    ``images`` is float32 (n, inputs, i, j) or (n, inputs, i, j, k), ``targets`` the class of each voxel, int64, without
    the second axis, or for a classifier of each image, (n,); ``names`` says what they were cut from.
    """

    images: Tensor
    targets: Tensor
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What a network shall learn.

    Parameters
    ----------
    name
        For messages.
    network
        With fresh weights; returns logits, or a list of them from fine to coarse while it trains.
    batches
        This process's share of the batches from a step on: a function of the step alone, so that a stopped run sees
        what it would have seen.
    evaluate
        Loss and Dice of a network on the validation patients; None where there are none.
    foreground_weight, entropy_weight, dice_weight
        Of `dice_cross_entropy`.
    """

    name: str
    network: nn.Module
    batches: Callable[[int], Iterator[Batch]]
    evaluate: Callable[[nn.Module], Validation] | None = None
    foreground_weight: float = 1.0
    entropy_weight: float = 1.0
    dice_weight: float = 1.0


def fit(
    task: Task,
    settings: FitSettings,
    folder: Path,
    *,
    device: str,
    report: Callable[[Progress], None],
    team: Team = Team(),  # noqa: B008 - immutable
) -> dict[str, NDArray[Any]]:
    """Train one network and return its weights: the mean ones, those of the best evaluation where there were any.

    Writes ``checkpoint.safetensors``, ``log.csv``, ``validation.csv``, ``best.safetensors`` and an event file into
    ``folder``. A stopped run goes on from its checkpoint, with the losses that it would have had.

    Raises
    ------
    OsteometError
        If the loss is not finite, the device runs out of memory, or a checkpoint cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = _start(task, settings, folder, device)
    log = TrainingLog(folder, state.step) if team.is_first else None
    loss_of = _loss(task, team)
    batches = task.batches(state.step)
    first, began, dice = state.step, time.monotonic(), None
    sums = _Sums()
    while True:
        rate = learning_rate(state.step, settings)
        for group in state.optimiser.param_groups:
            group["lr"] = rate

        is_last = state.step >= settings.n_steps
        if (
            task.evaluate is not None
            and state.step > first
            and (_is_due(state.step, settings.evaluate_every) or is_last)
        ):
            found = _evaluate(task.evaluate, state, folder, team)
            dice = found.dice
            if log is not None:
                log.write_validation(state.step, found)

        is_last |= settings.patience is not None and state.n_since_best >= settings.patience
        if team.is_first and state.step > first and (_is_due(state.step, settings.checkpoint_every) or is_last):
            save_state(state, folder)
        if is_last:
            break

        batch = next(batches)
        loss, pseudo_dice = _step(task.name, state, batch, loss_of, settings, device, team)

        state.step += 1
        sums.add(loss, pseudo_dice)
        if _is_due(state.step, settings.log_every) or state.step == settings.n_steps:
            line = Progress(state.step, *sums.means(), rate, time.monotonic() - began, dice)
            if log is not None:
                log.write_progress(line)
                report(line)
            sums = _Sums()
    load_best(state.mean, folder)
    return {name: value.cpu().contiguous().numpy() for name, value in state.mean.state_dict().items()}


@dataclass(slots=True)
class _Sums:
    """Loss and pseudo-Dice since the last line of the log."""

    loss: float = 0.0
    dice: float = 0.0
    n: int = 0

    def add(self, loss: float, dice: float) -> None:
        self.loss, self.dice, self.n = self.loss + loss, self.dice + dice, self.n + 1

    def means(self) -> tuple[float, float]:
        return self.loss / self.n, self.dice / self.n


def _is_due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _start(task: Task, settings: FitSettings, folder: Path, device: str) -> TrainingState:
    """Network, mean and optimiser on the device, as fresh or as a checkpoint left them."""
    network = task.network.to(device)
    n_axes = max(parameter.ndim for parameter in network.parameters())
    network.to(memory_format=_FORMATS[n_axes])  # type: ignore[call-overload]
    state = TrainingState(network, copy.deepcopy(network), _optimiser(network, settings))
    load_state(state, folder)
    return state


def _optimiser(network: nn.Module, settings: FitSettings) -> torch.optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimiser == "sgd":
        return torch.optim.SGD(network.parameters(), lr=rate, weight_decay=decay, momentum=0.99, nesterov=True)
    if settings.optimiser == "gradient descent":
        return torch.optim.SGD(network.parameters(), lr=rate, weight_decay=decay)
    kind = torch.optim.AdamW if settings.optimiser == "adamw" else torch.optim.Adam
    return kind(network.parameters(), lr=rate, weight_decay=decay)


def _loss(task: Task, team: Team) -> Callable[[Tensor | list[Tensor], Tensor], Tensor]:
    """Loss of what a network returns while it trains."""
    loss = partial(
        dice_cross_entropy,
        foreground_weight=task.foreground_weight,
        entropy_weight=task.entropy_weight,
        dice_weight=task.dice_weight,
        total=team.total,
    )
    return lambda out, targets: deep_supervision(out, targets, loss) if isinstance(out, list) else loss(out, targets)


def _evaluate(
    evaluate: Callable[[nn.Module], Validation], state: TrainingState, folder: Path, team: Team
) -> Validation:
    """Evaluate the mean weights, keep them where they are the best so far, and tell all processes."""
    numbers = [0.0, 0.0]
    if team.is_first:
        state.mean.eval()
        found = evaluate(state.mean)
        numbers = [found.loss, found.dice]
        if found.dice > state.best_dice:
            save_best(state.mean, folder, state.step)
    loss, dice = team.from_first(numbers)
    state.n_since_best = 0 if dice > state.best_dice else state.n_since_best + 1
    state.best_dice = max(dice, state.best_dice)
    return Validation(loss, dice)


def _step(
    name: str,
    state: TrainingState,
    batch: Batch,
    loss_of: Callable[[Tensor | list[Tensor], Tensor], Tensor],
    settings: FitSettings,
    device: str,
    team: Team,
) -> tuple[float, float]:
    """Learn from one batch; returns loss and pseudo-Dice."""
    state.network.train()
    try:
        images = batch.images.to(device).contiguous(memory_format=_FORMATS[batch.images.ndim])
        targets = batch.targets.to(device)
        with torch.autocast(device_type=device, dtype=torch.bfloat16, enabled=settings.mixed_precision):
            out = state.network(images)
        loss = loss_of(out, targets)
        if not torch.isfinite(loss):
            raise OsteometError(
                f"the loss of {name} is not a finite number at step {state.step}",
                got=f"{loss.item()} on {', '.join(batch.names)}",
                remedy="look at these images for values that are no numbers, or lower the learning rate",
            )
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
    except torch.OutOfMemoryError as error:
        raise OsteometError(
            f"the device has no memory left for {name}",
            got=f"a batch of {len(batch.images)} × {tuple(batch.images.shape[1:])}",
            remedy="make the batch of the recipe smaller, then go on with --resume",
        ) from error
    team.add_gradients(state.network.parameters())
    if settings.gradient_clip is not None:
        nn.utils.clip_grad_norm_(state.network.parameters(), settings.gradient_clip)
    state.optimiser.step()
    _update_mean(state.mean, state.network, min(settings.ema_decay, (1 + state.step) / (10 + state.step)))
    return loss.item(), _hard_dice(out[0] if isinstance(out, list) else out, targets, team)


@torch.no_grad()
def _update_mean(mean: nn.Module, network: nn.Module, decay: float) -> None:
    """Exponential mean of the weights; what is no weight, such as a count of batches, is copied."""
    values = network.state_dict()
    for name, value in mean.state_dict().items():
        if value.is_floating_point():
            value.lerp_(values[name], 1 - decay)
        else:
            value.copy_(values[name])


@torch.no_grad()
def _hard_dice(logits: Tensor, targets: Tensor, team: Team) -> float:
    """Mean Dice, of a classifier F1, of the foreground classes of the batch; 1 where it has none and none is called."""
    n, asked = logits.shape[1], targets != IGNORED
    confusion = torch.bincount((targets * n + logits.argmax(dim=1))[asked], minlength=n * n).reshape(n, n)
    confusion = team.total(confusion)
    truth, called = confusion.sum(dim=1)[1:], confusion.sum(dim=0)[1:]
    shown = truth > 0
    if not bool(shown.any()):
        return float(not bool(called.any()))
    return float((2 * confusion.diagonal()[1:][shown] / (truth + called)[shown]).mean())
