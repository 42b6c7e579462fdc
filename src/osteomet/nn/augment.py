"""Random changes of position that images and their labels share, in the plane of the slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_STRICT = {"extra": "forbid"}  # recipes with a key that is none of these are refused


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Limits of what is drawn, each evenly: ±, but for the zoom.

    ``translation`` is a share of the side of the image, ``zoom`` how many times larger things become,
    ``shear_deg`` slants the second axis along the first, ``skew_deg`` the first along the second.
    """

    __pydantic_config__ = _STRICT

    rotation_deg: float = 0.0
    translation: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    shear_deg: float = 0.0
    skew_deg: float = 0.0


def draw_affine(augmentation: Augmentation, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a change of position, shape (2, 3): from places of the result to places of the source.

    Places run from −1 to 1 between the outer edges of the image along its two axes, so the matrix suits square images.

    Examples
    --------
    >>> draw_affine(Augmentation(), np.random.default_rng(0)).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    angle = np.deg2rad(rng.uniform(-1, 1) * augmentation.rotation_deg)
    shear = np.tan(np.deg2rad(rng.uniform(-1, 1) * augmentation.shear_deg))
    skew = np.tan(np.deg2rad(rng.uniform(-1, 1) * augmentation.skew_deg))
    low, high = augmentation.zoom
    scale = 1 / rng.uniform(low, high)
    shift = 0.0 + 2 * augmentation.translation * rng.uniform(-1, 1, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([scale * turn @ np.array([[1.0, shear], [skew, 1.0]]), shift])


def move(images: Tensor, targets: Tensor, affine: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
    """Move one image, float32 (inputs, i, j) or (inputs, i, j, k), and its classes, int64, alike; slice by slice.

    Grey values are interpolated linearly, classes taken from the nearest pixel. What comes from outside is 0.
    """
    stack = images.ndim == 4
    n_inputs, i, j = images.shape[:3]
    planes = images.permute(0, 3, 1, 2).reshape(-1, i, j) if stack else images
    classes = targets.permute(2, 0, 1) if stack else targets[None]
    moved = _sample(planes, affine, "bilinear")
    moved_classes = _sample(classes.float(), affine, "nearest").long()
    if not stack:
        return moved, moved_classes[0]
    return moved.reshape(n_inputs, -1, i, j).permute(0, 2, 3, 1), moved_classes.permute(1, 2, 0)


def move_image(images: Tensor, affine: NDArray[np.float64]) -> Tensor:
    """Move one image, float32 (inputs, i, j), as `move` does."""
    return _sample(images, affine, "bilinear")


def _sample(planes: Tensor, affine: NDArray[np.float64], mode: str) -> Tensor:
    """Planes (n, i, j), each moved alike."""
    # torch names the last axis first
    matrix = torch.from_numpy(affine[::-1][:, [1, 0, 2]].copy()).float()[None]
    grid = torch.nn.functional.affine_grid(matrix, [1, 1, *planes.shape[1:]], align_corners=False)
    return torch.nn.functional.grid_sample(planes[None], grid, mode=mode, padding_mode="zeros", align_corners=False)[0]
