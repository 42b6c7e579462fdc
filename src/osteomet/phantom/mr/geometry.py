"""Stacks of slices as scanners plan them, and how thin layers of tissue are gathered into thick slices."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from osteomet.core.errors import UsageError
from osteomet.core.grid import Grid

_EDGE_SHARE = 0.25
_SAMPLES_PER_LAYER = 8


class Orientation(StrEnum):
    """Plane of the slices."""

    SAGITTAL = "sagittal"
    AXIAL = "axial"
    CORONAL = "coronal"


_AXES = {
    Orientation.SAGITTAL: ((0, 1, 0), (0, 0, -1), (-1, 0, 0)),
    Orientation.AXIAL: ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    Orientation.CORONAL: ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
}
"""Columns, rows and slices of an image in LPS, right-handed, as DICOM orders them."""


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Where an acquisition puts its voxels and along which array axes it encodes.

    Parameters
    ----------
    grid
        Voxel centres of the images.
    slice_mm
        Thickness (full width at half height of the slice profile); at most the distance of slices, the rest is gap.
        None for slices without gap.
    n_layers
        Layers of tissue per slice distance that a `Composition` provides; 1 where the voxels are their own layers.
    slice_axis, phase_axis
        Array axes of the slices and of phase encoding; the third is the readout.
    """

    grid: Grid
    slice_mm: float | None = None
    n_layers: int = 1
    slice_axis: int = 2
    phase_axis: int = 1

    def __post_init__(self) -> None:
        if (
            self.n_layers < 1
            or self.slice_axis == self.phase_axis
            or not {self.slice_axis, self.phase_axis} <= {0, 1, 2}
        ):
            raise UsageError(
                "a stack needs a layer or more per slice and different axes of slices and phase encoding",
                expected="1 layer or more; two different axes of 0, 1 and 2",
                got=f"{self.n_layers} layers, axes {self.slice_axis} and {self.phase_axis}",
                remedy="leave the axes at 2 and 1, or give the phase encoding one that the slices do not have",
            )
        if self.slice_mm is not None and not 0 < self.slice_mm <= self.pitch_mm * (1 + 1e-6):
            raise UsageError(
                "slices must be thicker than nothing and no thicker than their distance",
                expected=f"above 0 and up to {self.pitch_mm:g} mm",
                got=f"{self.slice_mm:g} mm thick, {self.pitch_mm:g} mm apart",
                remedy="make slices thinner, or put them farther apart",
            )

    @property
    def pitch_mm(self) -> float:
        """Distance of neighbouring slice centres, mm."""
        return self.grid.spacing_mm[self.slice_axis]

    @property
    def readout_axis(self) -> int:
        """Array axis of frequency encoding."""
        return 3 - self.slice_axis - self.phase_axis

    @property
    def fine(self) -> Grid:
        """Grid on which the tissue is wanted: ``n_layers`` layers per slice distance, gaps included."""
        spacing = list(self.grid.spacing_mm)
        spacing[self.slice_axis] /= self.n_layers
        return self.grid.with_spacing(spacing) if self.n_layers > 1 else self.grid

    def layer_weights(self, shift_mm: float = 0.0) -> NDArray[np.float32]:
        """Weight of each layer in each slice, shape (n_slices, n_layers_in_all); rows sum to 1.

        The profile is flat with sloping edges, an eighth of the thickness either side of half height. ``shift_mm``
        moves the tissue along the slice axis; beyond the ends the outer layer goes on.
        """
        n_slices = self.grid.shape[self.slice_axis]
        n_layers = n_slices * self.n_layers
        thickness = (self.slice_mm or self.pitch_mm) / self.pitch_mm * self.n_layers
        centres = (np.arange(n_slices) + 0.5) * self.n_layers - shift_mm / self.pitch_mm * self.n_layers
        weights = np.zeros((n_slices, n_layers), dtype=np.float64)
        rows = np.arange(n_slices)
        if self.n_layers == 1:
            low = np.floor(centres - 0.5)
            share = centres - 0.5 - low
            for layer, weight in ((low, 1 - share), (low + 1, share)):
                np.add.at(weights, (rows, np.clip(layer, 0, n_layers - 1).astype(int)), weight)
            return weights.astype(np.float32)
        reach = thickness * (1 + _EDGE_SHARE) / 2
        offsets = (np.arange(np.ceil(2 * reach * _SAMPLES_PER_LAYER)) + 0.5) / _SAMPLES_PER_LAYER - reach
        edge = _EDGE_SHARE * thickness
        profile = np.clip((reach - np.abs(offsets)) / edge, 0, 1)
        for offset, weight in zip(offsets, profile / profile.sum(), strict=True):
            layer = np.clip(np.floor(centres + offset), 0, n_layers - 1).astype(int)
            np.add.at(weights, (rows, layer), weight)
        return weights.astype(np.float32)


def acquisition_grid(
    field_of_view: ArrayLike,
    orientation: Orientation,
    slice_mm: float,
    gap_mm: float,
    in_plane_mm: float,
    rng: np.random.Generator,
) -> Stack:
    """Plan a stack that covers a box of the patient.

    Parameters
    ----------
    field_of_view
        Low and high corner of the box, LPS mm, shape (2, 3).
    orientation
        Plane of the slices before tilting.
    slice_mm, gap_mm, in_plane_mm
        Slice thickness, gap between slices and pixel edge, mm.
    rng
        Tilts the stack by a few degrees about two axes, moves it by part of a pixel and chooses the axis of phase
        encoding.

    Returns
    -------
    Stack
        Columns, rows and slices along the array axes i, j, k, with as many layers as keep them below about 1 mm.

    Raises
    ------
    UsageError
        If a length is not positive (a gap may be 0) or the box has no extent.

    Examples
    --------
    >>> box = [[-30, -60, -100], [30, 60, 100]]
    >>> stack = acquisition_grid(box, Orientation.SAGITTAL, 4.0, 0.4, 1.0, np.random.default_rng(0))
    >>> stack.grid.shape, stack.n_layers
    ((120, 200, 14), 4)
    """
    low, high = np.asarray(field_of_view, dtype=np.float64).reshape(2, 3)
    if min(slice_mm, in_plane_mm) <= 0 or gap_mm < 0 or not (high > low).all():
        raise UsageError(
            "a stack needs positive slice and pixel sizes, no negative gap and a box with extent",
            expected="sizes above 0 mm, a gap of 0 mm or more, and corners of the box in ascending order",
            got=f"slice {slice_mm:g} mm, gap {gap_mm:g} mm, pixel {in_plane_mm:g} mm, box {low} to {high} mm",
            remedy="state sizes in mm, and the lower corner of the box first",
        )
    planned = np.array(_AXES[orientation], dtype=np.float64).T
    tilt = Rotation.from_euler("xyz", rng.normal(0, 3, 3) * (planned[:, 2] == 0), degrees=True)
    axes = tilt.as_matrix() @ planned
    spacing = np.array([in_plane_mm, in_plane_mm, slice_mm + gap_mm])
    extent = np.abs(planned.T) @ (high - low)
    shape = np.maximum(1, np.ceil(np.round(extent / spacing, 6))).astype(int)
    centre = (low + high) / 2 + axes @ (rng.uniform(-0.5, 0.5, 3) * spacing)
    origin = centre - axes @ (spacing * (shape - 1) / 2)
    grid = Grid.from_spacing(shape.tolist(), spacing.tolist(), origin_mm=origin.tolist(), direction=axes)
    n_layers = max(1, int(np.ceil((slice_mm + gap_mm) / 1.2)))
    return Stack(grid, slice_mm, n_layers, slice_axis=2, phase_axis=int(rng.random() < 0.7))
