"""nnU-Net's own trainer, told how long to train, and made to say how it goes."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from osteomet.core.errors import OsteometError
from osteomet.training.log import Progress, TrainingLog
from osteomet.training.nnunet.jobs import Place, TrainJob
from osteomet.training.nnunet.recipe import ConfigurationName

SUMMARY = "validation/summary.json"
"""What nnU-Net writes last: the real Dice of every validation case."""
_FINAL, _UNFINISHED = "checkpoint_final.pth", ("checkpoint_latest.pth", "checkpoint_best.pth")


def train_fold(
    place: Place,
    configuration: ConfigurationName,
    fold: int,
    job: TrainJob,
    tell: Callable[[str, int, int, str], None],
) -> None:
    """Train one network and predict its validation cases.

    The trainer is nnU-Net's plain one: its class is not searched for among all that nnU-Net has, which would import
    networks with needs of their own, and what it writes any nnU-Net can read. Numbers are set on it, and four of its
    methods are wrapped.

    Raises
    ------
    OsteometError
        If the loss is no finite number.
    """
    folder = place.fold(configuration, fold)
    title = f"{configuration}, fold {fold}"
    if (folder / SUMMARY).is_file():
        tell(title, job.n_epochs, job.n_epochs, "done")
        return
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args, maybe_load_checkpoint

    is_trained = (folder / _FINAL).is_file()
    goes_on = not is_trained and any((folder / name).is_file() for name in _UNFINISHED)
    trainer = get_trainer_from_args(
        place.dataset, configuration, fold, continue_training=goes_on, device=torch.device(place.device)
    )
    trainer.num_epochs = job.n_epochs
    trainer.num_iterations_per_epoch = job.n_iterations
    trainer.num_val_iterations_per_epoch = job.n_validation_iterations
    trainer.save_every = job.checkpoint_every
    trainer.save_checkpoint = _whole(trainer.save_checkpoint)
    maybe_load_checkpoint(trainer, goes_on, is_trained)
    if not is_trained:
        _Reporter(trainer, title, job, folder, tell).attach()
        trainer.run_training()
    tell(title, job.n_epochs, job.n_epochs, "predicts its validation cases")
    trainer.perform_actual_validation(False)
    tell(title, job.n_epochs, job.n_epochs, f"Dice of whole images {real_dice(folder):.3f}")


def real_dice(folder: Path) -> float:
    """Mean over classes of the Dice of whole validation images of a finished training; NaN where none is shown."""
    return mean_dice([json.loads((folder / SUMMARY).read_text(encoding="utf-8"))])


def mean_dice(summaries: Sequence[Mapping[str, Any]]) -> float:
    """Mean over classes of the mean over all cases, those without the class left out: nnU-Net's figure for a choice.

    Examples
    --------
    >>> case = {"metrics": {"1": {"Dice": 0.5}, "2": {"Dice": math.nan}}}
    >>> other = {"metrics": {"1": {"Dice": 0.7}, "2": {"Dice": 0.2}}}
    >>> round(mean_dice([{"metric_per_case": [case]}, {"metric_per_case": [other]}]), 3)
    0.4
    """
    cases = [case["metrics"] for summary in summaries for case in summary["metric_per_case"]]
    found: dict[str, list[float]] = {}
    for case in cases:
        for label, metrics in case.items():
            found.setdefault(label, []).append(float(metrics["Dice"]))
    means = [np.mean(shown) for values in found.values() if (shown := [v for v in values if not math.isnan(v)])]
    return float(np.mean(means)) if means else math.nan


def _whole(save: Callable[[str], None]) -> Callable[[str], None]:
    """Let a checkpoint appear whole or not at all."""

    def save_whole(path: str) -> None:
        partial = f"{path}.partial"
        save(partial)
        if Path(partial).is_file():
            Path(partial).replace(path)

    return save_whole


@dataclass(slots=True)
class _Reporter:
    """Listens to a trainer: writes ``log.csv`` and events, tells, and stops where the loss is no number."""

    trainer: Any
    title: str
    job: TrainJob
    folder: Path
    tell: Callable[[str, int, int, str], None]
    loss: float = math.nan
    pseudo_dice: float = math.nan

    def attach(self) -> None:
        """Wrap the methods of the trainer that learn how an epoch went."""
        trainer, began = self.trainer, time.monotonic()
        log = TrainingLog(self.folder, trainer.current_epoch * self.job.n_iterations)
        of_training, of_validation, at_end = (
            trainer.on_train_epoch_end,
            trainer.on_validation_epoch_end,
            trainer.on_epoch_end,
        )

        def train_end(outputs: list[dict[str, Any]]) -> None:
            self.loss = _finite([float(out["loss"]) for out in outputs], self.title, trainer.current_epoch)
            of_training(outputs)

        def validation_end(outputs: list[dict[str, Any]]) -> None:
            self.pseudo_dice = _pseudo_dice(outputs)
            of_validation(outputs)

        def epoch_end() -> None:
            at_end()
            step, rate = trainer.current_epoch * self.job.n_iterations, trainer.optimizer.param_groups[0]["lr"]
            log.write_progress(Progress(step, self.loss, self.pseudo_dice, rate, time.monotonic() - began))
            remark = f"loss {self.loss:.4f}, pseudo-Dice {self.pseudo_dice:.3f}"
            self.tell(self.title, trainer.current_epoch, self.job.n_epochs, remark)

        trainer.on_train_epoch_end, trainer.on_validation_epoch_end = train_end, validation_end
        trainer.on_epoch_end = epoch_end


def _finite(losses: Sequence[float], title: str, epoch: int) -> float:
    """Mean loss of an epoch."""
    if not np.isfinite(losses).all():
        raise OsteometError(
            f"the loss of {title} is not a finite number in epoch {epoch}",
            got=f"{np.count_nonzero(~np.isfinite(losses))} of {len(losses)} losses",
            remedy="look at the images for values that are no numbers; remove the folder of this fold and go on",
        )
    return float(np.mean(losses))


def _pseudo_dice(outputs: Sequence[Mapping[str, Any]]) -> float:
    """Mean over the classes that they show of the Dice pooled over all validation patches."""
    hit, false, missed = (np.sum([out[key] for out in outputs], axis=0) for key in ("tp_hard", "fp_hard", "fn_hard"))
    total = 2 * hit + false + missed
    return float(np.mean(2 * hit[total > 0] / total[total > 0])) if np.any(total > 0) else math.nan
