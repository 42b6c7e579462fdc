"""Graders by their kind."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from osteomet.core.grader import GraderPart, ResidualNet, SigmoidCnn
from osteomet.nn.graded_cnn import GradedCnn
from osteomet.nn.small_resnet import SmallResNet

_AT_ONCE = 64


def build_grader(
    spec: SigmoidCnn | ResidualNet, *, n_inputs: int, n_outputs: int, sides: tuple[int, int]
) -> GradedCnn | SmallResNet:
    """Build a grader with fresh weights, for maps of (n_inputs, rows, columns)."""
    if isinstance(spec, SigmoidCnn):
        return GradedCnn(spec, n_inputs, n_outputs, sides)
    return SmallResNet(spec, n_inputs, n_outputs)


def build_part(part: GraderPart) -> GradedCnn | SmallResNet:
    """Build one member of the grader of a package, with fresh weights."""
    sides = (part.straighten.rows, part.straighten.columns)
    return build_grader(part.network, n_inputs=part.n_inputs, n_outputs=len(part.outputs), sides=sides)


@torch.no_grad()
def grade_maps(ensemble: nn.Module, maps: NDArray[np.float32], *, device: str) -> NDArray[np.float64]:
    """Probability of each grade for some maps.

    Parameters
    ----------
    ensemble
        Gives probabilities; in evaluation mode, on ``device``.
    maps
        Shape (n, inputs, rows, columns).

    Returns
    -------
    Shape (n, grades); rows sum to 1.
    """
    batches = torch.split(torch.from_numpy(np.ascontiguousarray(maps)), _AT_ONCE)
    found = np.concatenate([ensemble(batch.to(device)).double().cpu().numpy() for batch in batches])
    return np.asarray(found / found.sum(axis=1, keepdims=True))
