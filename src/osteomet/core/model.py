"""What a model package says about itself: networks, the grids they work on, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from osteomet.core.calibration import ModelCalibration
from osteomet.core.classifier import ClassifierPart
from osteomet.core.grader import GraderPart
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Modality

PACKAGE_FORMAT = "osteomet-model/1"
NORM_GROUPS = 8
"""Groups of channels that networks normalise together: numbers of channels are multiples of it."""


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Shape of a network, enough to build it; its weights come as safetensors.

    ``channels`` counts the features at each resolution, from half that of the image on; each further entry halves it.
    """

    kind: Literal["subvoxel_unet3d"]
    n_inputs: int
    n_outputs: int
    channels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class IntensityWindow:
    """Clip to ``low`` … ``high`` (image unit, HU on CT), then scale linearly to −1 … 1. Keeps absolute values."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ModelPart:
    """One network of a package.

    ``outputs`` names the channels of the softmax, background first. ``patch`` is the window in voxels at
    ``spacing_mm``, on a grid whose axes run to the patient's left, posterior and superior. ``weights`` are paths inside
    the package, one per ensemble member, averaged after the softmax.

    On CT the network sees the image once through each of ``windows``. On MR each entry of ``sequences`` names the roles
    that may fill one input, best first; an input has two channels, the image and whether that sequence shows the voxel
    (1 or −1), so that any of them may be missing. If ``near_bone_mm`` is a number, bones are its last input channel
    (1 in bone, −1 elsewhere), and it is trained and run only in bone and up to that far from it.
    """

    name: str
    network: NetworkSpec
    spacing_mm: tuple[float, float, float]
    patch: tuple[int, int, int]
    windows: tuple[IntensityWindow, ...]
    near_bone_mm: float | None
    outputs: tuple[str, ...]
    weights: tuple[str, ...]
    sequences: tuple[tuple[SequenceRole, ...], ...] = ()

    @property
    def n_inputs(self) -> int:
        """Channels that windows, sequences and bones fill."""
        return len(self.windows) + 2 * len(self.sequences) + (self.near_bone_mm is not None)


@dataclass(frozen=True, slots=True)
class PlannedUNetSpec:
    """Shape of a U-Net as nnU-Net plans it; every stage has its own size.

    ``features``, ``kernels``, ``strides`` and ``blocks`` hold one entry for each stage, finest first, kernels and
    strides one number for each of two or three axes. ``blocks`` counts convolutions, or residual blocks, of an encoder
    stage; ``decoder_blocks`` counts convolutions of a decoder stage, coarsest first. ``slope`` is that of the leaky
    ReLU below 0, ``epsilon`` keeps instance normalisation from dividing by 0.
    """

    kind: Literal["plain_conv_unet", "residual_encoder_unet"]
    n_inputs: int
    n_outputs: int
    features: tuple[int, ...]
    kernels: tuple[tuple[int, ...], ...]
    strides: tuple[tuple[int, ...], ...]
    blocks: tuple[int, ...]
    decoder_blocks: tuple[int, ...]
    bias: bool
    epsilon: float
    slope: float


@dataclass(frozen=True, slots=True)
class IntensityStatistics:
    """Foreground of a training set: percentiles 0.5 and 99.5, mean and standard deviation."""

    low: float
    high: float
    mean: float
    std: float


@dataclass(frozen=True, slots=True)
class InputChannel:
    """One image that a network of nnU-Net takes, and how it is normalised.

    ``CT`` clips and scales by ``statistics``; ``ZScore`` uses mean and standard deviation of the image, of its nonzero
    region alone where ``masked``; ``RescaleTo01`` its minimum and maximum; ``No`` leaves it.
    """

    name: str
    scheme: Literal["CT", "ZScore", "RescaleTo01", "No"]
    masked: bool
    statistics: IntensityStatistics | None


@dataclass(frozen=True, slots=True)
class ResampleRule:
    """Order of the splines of a resampling.

    ``separate`` says whether a coarse axis takes the nearest slice instead; None where its spacing is more than three
    times another.
    """

    order: int
    separate: bool | None


@dataclass(frozen=True, slots=True)
class NnunetPart:
    """One configuration that nnU-Net planned and trained, with all that its predictor does around the network.

    Three-part fields follow the axes of the network. ``axes`` says which axis of an array (k, j, i) each of them is,
    after the image was turned to ``orientation``. A first entry None of ``spacing_mm`` leaves the distance of slices as
    it is: the network is two-dimensional, and the first entry of ``patch`` 1. ``mirror_axes`` are flipped in all
    combinations, and the logits averaged.

    ``values`` is the label for each of ``outputs``. Where ``exclusive``, the output with the highest logit is taken;
    else each output is a region of its own, and where its logit is positive it overwrites the regions before it.

    The second stage of a cascade has a ``first``, whose label map is a further input: a channel for each label but the
    background, 1 where the label is and 0 elsewhere.
    """

    configuration: str
    network: PlannedUNetSpec
    channels: tuple[InputChannel, ...]
    orientation: Literal["stored", "RAS"]
    axes: tuple[int, int, int]
    spacing_mm: tuple[float | None, float, float]
    patch: tuple[int, int, int]
    image_rule: ResampleRule
    logit_rule: ResampleRule
    mirror_axes: tuple[int, ...]
    outputs: tuple[str, ...]
    values: tuple[int, ...]
    exclusive: bool
    weights: tuple[str, ...]
    first: FirstStage | None = None


@dataclass(frozen=True, slots=True)
class FirstStage:
    """First stage of a cascade, and how its label map is brought onto the grid of the second."""

    part: NnunetPart
    label_rule: ResampleRule


def stages_of(part: NnunetPart) -> tuple[NnunetPart, ...]:
    """Networks of a model in the order in which they run: the first stage of a cascade, if it is one, and the part."""
    return (part,) if part.first is None else (*stages_of(part.first.part), part)


AnyPart = ModelPart | NnunetPart | ClassifierPart | GraderPart


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """The content of ``model.json``.

    ``files`` maps every other file of the package to its SHA-256, so that damage and tampering are noticed.
    ``seed_probability`` is the operating point: a lesion needs a voxel at least this probable. A model that was trained
    by nnU-Net has ``nnunet`` and no parts, a classifier of lesions ``classifier``, a grader of exams ``grader``.
    ``calibration`` makes probabilities of its scores, None where nobody fitted one.
    """

    name: str
    version: str
    task: str
    modality: Modality
    parts: tuple[ModelPart, ...]
    training_data: str
    training_command: str
    intended_use: str
    limitations: str
    licence: str
    metrics: dict[str, Any]
    files: dict[str, str]
    seed_probability: float = 0.5
    nnunet: NnunetPart | None = None
    classifier: ClassifierPart | None = None
    grader: GraderPart | None = None
    calibration: ModelCalibration | None = None
    format: str = PACKAGE_FORMAT

    @property
    def networks(self) -> tuple[AnyPart, ...]:
        """Everything that has weights, whatever kind of model this is."""
        stages = stages_of(self.nnunet) if self.nnunet is not None else ()
        return (*self.parts, *stages, *(part for part in (self.classifier, self.grader) if part is not None))

    @property
    def weights(self) -> tuple[str, ...]:
        """Every file of weights."""
        return tuple(name for part in self.networks for name in part.weights)

    def part(self, name: str) -> ModelPart:
        """Return the part of this name; raises KeyError where there is none."""
        return {part.name: part for part in self.parts}[name]
