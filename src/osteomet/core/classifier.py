"""What a model package says about a classifier of lesions: its networks, and the cubes that they see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class InceptionSpec:
    """Shape of a 3D Inception-ResNet-v2, enough to build it.

    ``width`` is a factor of all numbers of features, ``blocks`` counts the residual blocks of its three stages,
    ``squeeze`` the features for each of the bottleneck of the channel attention.
    """

    kind: Literal["inception_resnet3d"]
    n_inputs: int
    n_outputs: int
    width: float
    blocks: tuple[int, int, int]
    squeeze: int


@dataclass(frozen=True, slots=True)
class ScaledChannel:
    """One image that a classifier takes: mean and standard deviation of its values in the cubes of the training."""

    name: str
    centre: float
    scale: float


@dataclass(frozen=True, slots=True)
class ClassifierPart:
    """Networks that tell the class of a lesion from a cube about it.

    A cube has ``side`` voxels of ``edge_mm`` along the patient's left, posterior and superior axes, and the middle of
    the lesion in its own. Its inputs are ``channels``, standardised, then the mask of the lesion, 1 inside. The
    probabilities of the networks, one for each of ``weights``, are averaged; the first of ``classes`` is the positive
    one. Networks learnt from as many lesions of each class: their probabilities are for classes of equal frequency.
    """

    network: InceptionSpec
    channels: tuple[ScaledChannel, ...]
    side: int
    edge_mm: float
    classes: tuple[str, ...]
    weights: tuple[str, ...]
