"""What a model package says about itself: networks, the grids they work on, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

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

    The network sees the image once through each of ``windows``. If ``near_bone_mm`` is a number, bones are its last
    input channel (1 in bone, −1 elsewhere), and it is trained and run only in bone and up to that far from it.
    """

    name: str
    network: NetworkSpec
    spacing_mm: tuple[float, float, float]
    patch: tuple[int, int, int]
    windows: tuple[IntensityWindow, ...]
    near_bone_mm: float | None
    outputs: tuple[str, ...]
    weights: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """The content of ``model.json``.

    ``files`` maps every other file of the package to its SHA-256, so that damage and tampering are noticed.
    ``seed_probability`` is the operating point: a lesion needs a voxel at least this probable.
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
    format: str = PACKAGE_FORMAT

    def part(self, name: str) -> ModelPart:
        """Return the part of this name; raises KeyError where there is none."""
        return {part.name: part for part in self.parts}[name]
