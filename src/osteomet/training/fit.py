"""The training loop: schedule, step, log, checkpoint, in reading order."""

from __future__ import annotations

import csv
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from osteomet.nn.inputs import network_inputs
from osteomet.nn.losses import IGNORED, dice_cross_entropy
from osteomet.nn.unet import build_network
from osteomet.training.backgrounds import Background, draw_background_sample
from osteomet.training.recipe import OptimiserRecipe, PartRecipe
from osteomet.training.samples import Sample, draw_sample

_POOL = 160
_CHECKPOINT_EVERY = 100
_LOG_EVERY = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of the log. ``pseudo_dice`` is the mean over foreground classes on training patches: a sanity curve."""

    step: int
    loss: float
    pseudo_dice: float
    learning_rate: float
    seconds: float


def fit_part(
    part: str,
    recipe: PartRecipe,
    optimiser: OptimiserRecipe,
    folder: Path,
    *,
    device: str,
    report: Callable[[Progress], None],
    backgrounds: tuple[Background, ...] = (),
) -> dict[str, NDArray[Any]]:
    """Train one network of a recipe and return the mean weights.

    Each step learns from one new sample and, for the rest of the batch, from a pool of the last ones, so that making
    phantoms does not hold the network up. All are a function of the step alone, hence a stopped run resumes where its
    last checkpoint stood and sees the same samples. Writes ``checkpoint.safetensors`` and ``log.csv`` into ``folder``.
    """
    torch.manual_seed(recipe.seed)
    folder.mkdir(parents=True, exist_ok=True)
    network = build_network(recipe.network).to(device)
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    mean = {name: value.detach().clone() for name, value in network.state_dict().items()}
    adam = torch.optim.AdamW(network.parameters(), lr=optimiser.learning_rate, weight_decay=optimiser.weight_decay)
    start = _resume(folder, network, mean, adam)
    _cut_log(folder / "log.csv", start)
    samples = iter(_loader(part, recipe, backgrounds, max(0, start - _POOL)))
    pool: deque[Sample] = deque(maxlen=_POOL)
    for _ in range(start - max(0, start - _POOL)):
        pool.append(next(samples))
    network.train()
    began, dice_sum, loss_sum, n_since = time.monotonic(), 0.0, 0.0, 0
    for step in range(start, recipe.n_steps):
        rate = _learning_rate(step, recipe.n_steps, optimiser)
        for group in adam.param_groups:
            group["lr"] = rate

        pool.append(next(samples))
        images, targets = _batch(pool, recipe, np.random.default_rng([recipe.seed, 2, step]), device)
        with torch.autocast(device_type=device, dtype=torch.bfloat16):
            logits = network(images)
        loss = dice_cross_entropy(logits, targets, foreground_weight=recipe.foreground_weight)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss of {part} is not finite at step {step}; lower the learning rate")
        adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), optimiser.gradient_clip)
        adam.step()
        _update_mean(mean, network, min(optimiser.ema_decay, (1 + step) / (10 + step)))

        loss_sum, dice_sum, n_since = loss_sum + loss.item(), dice_sum + _hard_dice(logits, targets), n_since + 1
        if (step + 1) % _LOG_EVERY == 0 or step + 1 == recipe.n_steps:
            line = Progress(step + 1, loss_sum / n_since, dice_sum / n_since, rate, time.monotonic() - began)
            _write_log(folder / "log.csv", line)
            report(line)
            dice_sum, loss_sum, n_since = 0.0, 0.0, 0
        if (step + 1) % _CHECKPOINT_EVERY == 0 or step + 1 == recipe.n_steps:
            _save(folder, step + 1, network, mean, adam)
    return {name: value.cpu().contiguous().numpy() for name, value in mean.items()}


class _Samples(Dataset[Sample]):
    """Samples by number, from ``first`` on."""

    def __init__(self, part: str, recipe: PartRecipe, backgrounds: tuple[Background, ...], first: int) -> None:
        self.part, self.recipe, self.backgrounds, self.first = part, recipe, backgrounds, first

    def __len__(self) -> int:
        return self.recipe.n_steps - self.first

    def __getitem__(self, index: int) -> Sample:
        number = self.first + index
        if (
            self.backgrounds
            and np.random.default_rng([self.recipe.seed, 7, number]).random() < self.recipe.background_share
        ):
            return draw_background_sample(self.backgrounds, self.recipe, number)
        return draw_sample(self.part, self.recipe, number)


def _loader(part: str, recipe: PartRecipe, backgrounds: tuple[Background, ...], first: int) -> DataLoader[Sample]:
    """One worker process makes samples ahead of the network, in order."""
    return DataLoader(
        _Samples(part, recipe, backgrounds, first),
        batch_size=None,
        num_workers=1,
        prefetch_factor=8,
        worker_init_fn=_one_thread,
    )


def _one_thread(_worker: int) -> None:
    """Leave the cores to the network."""
    torch.set_num_threads(1)


def _batch(pool: deque[Sample], recipe: PartRecipe, rng: np.random.Generator, device: str) -> tuple[Tensor, Tensor]:
    """The newest sample and older ones, brightness and contrast of each drawn anew."""
    chosen = [pool[-1]] + [pool[int(n)] for n in rng.integers(len(pool), size=recipe.batch - 1)]
    changed = [sample.image_hu * rng.normal(1, 0.02) + rng.normal(0, 8) for sample in chosen]
    inputs = [network_inputs(hu, recipe.windows, s.bones) for hu, s in zip(changed, chosen, strict=True)]
    images = torch.from_numpy(np.stack(inputs))
    targets = torch.from_numpy(np.stack([sample.target for sample in chosen])).long()
    return images.to(device).contiguous(memory_format=torch.channels_last_3d), targets.to(device)


def _learning_rate(step: int, n_steps: int, optimiser: OptimiserRecipe) -> float:
    """Linear warm-up, then cosine to one hundredth."""
    if step < optimiser.warm_up_steps:
        return optimiser.learning_rate * (step + 1) / optimiser.warm_up_steps
    part = (step - optimiser.warm_up_steps) / max(1, n_steps - optimiser.warm_up_steps)
    return optimiser.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))


@torch.no_grad()
def _update_mean(mean: dict[str, Tensor], network: nn.Module, decay: float) -> None:
    """Exponential mean of the weights."""
    for name, value in network.state_dict().items():
        mean[name].lerp_(value, 1 - decay)


@torch.no_grad()
def _hard_dice(logits: Tensor, targets: Tensor) -> float:
    """Mean Dice of the foreground classes in the batch's target; 1 where the batch shows none and none is called."""
    n, asked = logits.shape[1], targets != IGNORED
    confusion = torch.bincount((targets * n + logits.argmax(dim=1))[asked], minlength=n * n).reshape(n, n)
    truth, called = confusion.sum(dim=1)[1:], confusion.sum(dim=0)[1:]
    shown = truth > 0
    if not bool(shown.any()):
        return float(not bool(called.any()))
    return float((2 * confusion.diagonal()[1:][shown] / (truth + called)[shown]).mean())


def _save(folder: Path, step: int, network: nn.Module, mean: dict[str, Tensor], adam: torch.optim.AdamW) -> None:
    """Write the checkpoint beside the old one, then replace it: a kill leaves one of the two whole."""
    tensors = {f"network.{n}": v.contiguous() for n, v in network.state_dict().items()}
    tensors |= {f"mean.{n}": v.contiguous() for n, v in mean.items()}
    for index, state in adam.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{n}": v.contiguous() for n, v in state.items()}
    temporary = folder / "checkpoint.partial"
    save_file(tensors, temporary, metadata={"step": str(step)})
    temporary.replace(folder / "checkpoint.safetensors")


def _resume(folder: Path, network: nn.Module, mean: dict[str, Tensor], adam: torch.optim.AdamW) -> int:
    """Load the checkpoint of a stopped run, if there is one, and return the step to go on from."""
    path = folder / "checkpoint.safetensors"
    if not path.exists():
        return 0
    tensors = load_file(path)
    network.load_state_dict({n.removeprefix("network."): v for n, v in tensors.items() if n.startswith("network.")})
    for name in mean:
        mean[name].copy_(tensors[f"mean.{name}"])
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("adam."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = value
    adam.load_state_dict({"state": state, "param_groups": adam.state_dict()["param_groups"]})
    with safe_open(path, "pt") as file:
        return int(file.metadata()["step"])


def _cut_log(path: Path, step: int) -> None:
    """Drop the lines of a stopped run that lie beyond its checkpoint and will be written again."""
    if path.exists():
        header, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if int(line.partition(",")[0]) <= step]
        path.write_text("".join([header, *kept]), encoding="utf-8")


def _write_log(path: Path, line: Progress) -> None:
    """Append one line, with a header in a new file."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(["step", "loss", "pseudo_dice", "learning_rate", "seconds"])
        row: Iterator[str] = iter(
            [
                str(line.step),
                f"{line.loss:.5f}",
                f"{line.pseudo_dice:.4f}",
                f"{line.learning_rate:.6f}",
                f"{line.seconds:.1f}",
            ]
        )
        writer.writerow(row)
