"""Train one variant of a study on prepared stacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from osteomet.nn.nearest_unet import NearestUNet
from osteomet.nn.residual_attention_unet import ResidualAttentionUNet
from osteomet.training.log import Progress
from osteomet.training.prepare import Prepared, stack_of
from osteomet.training.processes import Team
from osteomet.training.stacks import StackTask, fit_stacks
from osteomet.training.study import NetworkRecipe, StudyRecipe, Variant


def build_study_network(wanted: NetworkRecipe, *, dimensions: int, n_inputs: int, n_outputs: int) -> nn.Module:
    """Build a network of a study, with fresh weights."""
    if wanted.kind == "residual attention U-Net":
        return ResidualAttentionUNet(n_inputs, n_outputs, wanted.channels)
    return NearestUNet(dimensions, n_inputs, n_outputs, wanted.channels, deep=wanted.deep_supervision)


def fit_variant(
    recipe: StudyRecipe,
    variant: Variant,
    train: Sequence[Prepared],
    validation: Sequence[Prepared],
    folder: Path,
    *,
    prepared: Path,
    fold: int,
    device: str,
    report: Callable[[Progress], None],
    team: Team = Team(),  # noqa: B008 - immutable
) -> nn.Module:
    """Train one variant; returns the network with the weights of its best evaluation, ready to predict.

    ``prepared`` holds the stacks of the cases, ``folder`` will hold the training. Raises as `fit_stacks`.
    """
    seed = recipe.training.seed + fold
    torch.manual_seed(seed)
    wanted = recipe.network(variant)
    network = build_study_network(
        wanted, dimensions=variant.dimensions, n_inputs=len(variant.inputs), n_outputs=len(recipe.data.classes)
    )
    n_slices = recipe.preprocessing.n_slices
    task = StackTask(
        name=variant.name,
        network=network,
        train=tuple(stack_of(case, prepared, variant.inputs, n_slices) for case in train),
        validation=tuple(stack_of(case, prepared, variant.inputs, n_slices) for case in validation),
        dimensions=variant.dimensions,
        batch=wanted.batch,
        augmentation=recipe.augmentation,
        lesion_share=recipe.training.lesion_share,
        seed=seed,
        foreground_weight=recipe.training.foreground_weight,
        entropy_weight=recipe.training.entropy_weight,
    )
    settings = recipe.training.settings(variant.dimensions)
    return fit_stacks(task, settings, folder, device=device, report=report, team=team)
