"""Settings of the training loop, the same for every network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Schedule = Literal["constant", "cosine", "polynomial"]
OptimiserName = Literal["adam", "adamw", "sgd", "gradient descent"]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How a network is fitted.

    Parameters
    ----------
    n_steps
        Batches to learn from.
    learning_rate, schedule, warm_up_steps
        Highest rate; what it does after a linear warm-up: stays, falls as a cosine to one hundredth, or as
        ``(1 − step / n_steps) ** 0.9``.
    optimiser, weight_decay
        SGD has Nesterov's momentum of 0.99, gradient descent none.
    gradient_clip
        Largest norm of the gradient; None: any.
    ema_decay
        Of the exponential mean of the weights, which is what counts in the end; 0 takes the weights themselves.
    mixed_precision
        Whether convolutions run in bfloat16, on a processor too.
    evaluate_every, patience
        Steps between evaluations on whole images of the validation patients, 0 for none, and how many of them may
        pass without a better Dice before the training ends; None: it never ends early.
    log_every, checkpoint_every
        Steps between lines of the log, and between checkpoints.
    """

    n_steps: int
    learning_rate: float
    schedule: Schedule = "cosine"
    warm_up_steps: int = 0
    optimiser: OptimiserName = "adamw"
    weight_decay: float = 0.0
    gradient_clip: float | None = None
    ema_decay: float = 0.0
    mixed_precision: bool = True
    evaluate_every: int = 0
    patience: int | None = None
    log_every: int = 20
    checkpoint_every: int = 100


def learning_rate(step: int, settings: FitSettings) -> float:
    """Rate of a step, counted from 0.

    Examples
    --------
    >>> settings = FitSettings(n_steps=12, learning_rate=0.01, warm_up_steps=2)
    >>> [learning_rate(step, settings) for step in (0, 1, 2)]
    [0.005, 0.01, 0.01]
    """
    if step < settings.warm_up_steps:
        return settings.learning_rate * (step + 1) / settings.warm_up_steps
    part = (step - settings.warm_up_steps) / max(1, settings.n_steps - settings.warm_up_steps)
    if settings.schedule == "cosine":
        return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))
    return settings.learning_rate * ((1 - part) ** 0.9 if settings.schedule == "polynomial" else 1.0)
