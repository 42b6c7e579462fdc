"""Set up the networks of a study to learn from prepared stacks."""

from __future__ import annotations

import torch
from torch import nn

from osteomet.nn.nearest_unet import NearestUNet
from osteomet.nn.residual_attention_unet import ResidualAttentionUNet
from osteomet.training.stacks import Stack, StackTask
from osteomet.training.study_settings import NetworkRecipe, Study


def build_study_network(wanted: NetworkRecipe, *, dimensions: int, n_inputs: int, n_outputs: int) -> nn.Module:
    """Build a network of a study, with fresh weights."""
    if wanted.kind == "residual attention U-Net":
        return ResidualAttentionUNet(n_inputs, n_outputs, wanted.channels)
    return NearestUNet(dimensions, n_inputs, n_outputs, wanted.channels, deep=wanted.deep_supervision)


def study_task(
    study: Study,
    network: str,
    *,
    name: str,
    dimensions: int,
    classes: tuple[str, ...],
    train: tuple[Stack, ...],
    validation: tuple[Stack, ...],
    fold: int = 0,
) -> StackTask:
    """What a network of a study, by its name in the recipe, shall learn; every fold starts from weights of its own."""
    wanted = study.networks[network]
    seed = wanted.seed + fold
    torch.manual_seed(seed)
    n_inputs = len(train[0].inputs) if train else 1
    return StackTask(
        name=name,
        network=build_study_network(wanted, dimensions=dimensions, n_inputs=n_inputs, n_outputs=len(classes)),
        classes=classes,
        train=train,
        validation=validation,
        dimensions=dimensions,
        batch=wanted.batch,
        augmentation=study.augmentation,
        lesion_share=wanted.lesion_share,
        seed=seed,
        foreground_weight=study.training.foreground_weight,
        entropy_weight=study.training.entropy_weight,
    )
