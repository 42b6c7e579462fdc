"""Where voxels lie in the patient: a regular grid with an affine to LPS millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteomet.core.errors import GeometryError

_SHEAR_TOLERANCE = 1e-3
_SAME_TOLERANCE_MM = 1e-2


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A regular lattice of voxel centres in the DICOM patient frame.

    Array index ``(i, j, k)`` maps to the **voxel centre** ``affine @ (i, j, k, 1)`` in LPS millimetres
    (x to the patient's left, y to posterior, z to superior; DICOM PS3.3 C.7.6.2.1.1). Spacing, orientation and
    voxel volume are derived, never stored, so they cannot disagree with the affine.

    Parameters
    ----------
    shape
        Number of voxels along each of the three array axes, each at least 1.
    affine
        Finite float64 matrix, shape (4, 4), last row (0, 0, 0, 1), without shear.
    frame_of_reference_uid
        DICOM frame of reference, where known.

    Raises
    ------
    GeometryError
        If the shape is not three positive integers, or the affine is not finite, singular, or sheared.

    Examples
    --------
    >>> grid = Grid.from_spacing((4, 4, 2), (0.5, 0.5, 3.0), origin_mm=(10.0, 20.0, 30.0))
    >>> grid.spacing_mm
    (0.5, 0.5, 3.0)
    >>> grid.to_xyz_mm((1, 0, 1)).tolist()
    [10.5, 20.0, 33.0]
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    frame_of_reference_uid: str | None = None

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError("a grid needs three axes of at least one voxel", got=f"shape {shape}")
        affine = np.array(self.affine, dtype=np.float64)
        _check_affine(affine)
        affine.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    @classmethod
    def from_spacing(
        cls,
        shape: Sequence[int],
        spacing_mm: Sequence[float],
        *,
        origin_mm: Sequence[float] = (0.0, 0.0, 0.0),
        direction: ArrayLike | None = None,
        frame_of_reference_uid: str | None = None,
    ) -> Self:
        """Build a grid from spacing (mm), origin (LPS mm, centre of voxel 0) and a 3×3 matrix of unit axis columns.

        Raises
        ------
        GeometryError
            If a spacing is not positive; an axis that runs the other way is a column of ``direction``.
        """
        axes = np.eye(3) if direction is None else np.asarray(direction, dtype=np.float64)
        affine = np.eye(4)
        affine[:3, :3] = axes * _positive(spacing_mm)
        affine[:3, 3] = origin_mm
        i, j, k = shape
        return cls((i, j, k), affine, frame_of_reference_uid)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along each array axis, mm."""
        a, b, c = (float(round(s, 9)) for s in np.linalg.norm(self.affine[:3, :3], axis=0))
        return a, b, c

    @property
    def origin_mm(self) -> tuple[float, float, float]:
        """Centre of voxel (0, 0, 0), LPS mm."""
        x, y, z = (float(v) for v in self.affine[:3, 3])
        return x, y, z

    @property
    def direction(self) -> NDArray[np.float64]:
        """Unit vectors of the array axes as columns, shape (3, 3), LPS."""
        return np.asarray(self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel, mm³."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel, ml."""
        return self.voxel_volume_mm3 / 1000.0

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Edge lengths of the box that the voxels fill, half a voxel beyond the outer centres, mm."""
        a, b, c = (n * s for n, s in zip(self.shape, self.spacing_mm, strict=True))
        return a, b, c

    def to_xyz_mm(self, ijk: ArrayLike) -> NDArray[np.float64]:
        """Map array indices, shape (..., 3), fractional allowed, to LPS mm."""
        index = np.asarray(ijk, dtype=np.float64)
        return index @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_ijk(self, xyz_mm: ArrayLike) -> NDArray[np.float64]:
        """Map LPS mm, shape (..., 3), to fractional array indices."""
        world = np.asarray(xyz_mm, dtype=np.float64)
        return (world - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T

    def contains(self, xyz_mm: Sequence[float]) -> bool:
        """Tell whether a point, LPS mm, lies in the box that the voxels fill.

        Examples
        --------
        >>> grid = Grid.from_spacing((2, 2, 2), (1.0, 1.0, 4.0))
        >>> grid.contains((0.0, 0.0, 5.9)), grid.contains((0.0, 0.0, 6.1))
        (True, False)
        """
        ijk = self.to_ijk(xyz_mm)
        return bool(((ijk >= -0.5) & (ijk <= np.array(self.shape) - 0.5)).all())

    def corners_xyz_mm(self) -> NDArray[np.float64]:
        """Centres of the eight corner voxels, shape (8, 3), LPS mm."""
        last = np.array(self.shape) - 1
        picks = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 3)
        return self.to_xyz_mm(picks * last)

    def same_as(self, other: Grid, *, tolerance_mm: float = _SAME_TOLERANCE_MM) -> bool:
        """Tell whether both grids have one shape and their corner voxels coincide within ``tolerance_mm``.

        Corners are compared rather than affine entries: a rotation too small for an ``allclose`` on the matrix can
        still move a far corner by a voxel.
        """
        if self.shape != other.shape:
            return False
        return float(np.abs(self.corners_xyz_mm() - other.corners_xyz_mm()).max()) <= tolerance_mm

    def crop(self, start: Sequence[int], shape: Sequence[int]) -> Grid:
        """Grid of the block that begins at index ``start`` (may be negative: padding) with the given shape."""
        affine = self.affine.copy()
        affine[:3, 3] = self.to_xyz_mm(start)
        i, j, k = shape
        return Grid((i, j, k), affine, self.frame_of_reference_uid)

    def with_spacing(self, spacing_mm: Sequence[float]) -> Grid:
        """Grid of the same orientation that fills the same box with voxels of (nearly exactly) another spacing.

        The box is measured from voxel edge to voxel edge. The number of voxels is rounded up, and the new lattice is
        centred on the old one, so that no tissue is lost and no half-voxel shift arises.
        """
        wanted = _positive(spacing_mm)
        shape = np.maximum(1, np.ceil(np.array(self.extent_mm) / wanted - 1e-6)).astype(int)
        centre = self.to_xyz_mm((np.array(self.shape) - 1) / 2)
        axes = self.direction * wanted
        affine = np.eye(4)
        affine[:3, :3] = axes
        affine[:3, 3] = centre - axes @ ((shape - 1) / 2)
        return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine, self.frame_of_reference_uid)

    def describe(self) -> str:
        """One line for messages: shape, spacing and origin."""
        spacing = ", ".join(f"{s:.4g}" for s in self.spacing_mm)
        origin = ", ".join(f"{o:.4g}" for o in self.origin_mm)
        shape = "×".join(str(n) for n in self.shape)
        return f"{shape} voxels of ({spacing}) mm from ({origin}) mm"


def check_same_grid(first: Grid, second: Grid, *, names: tuple[str, str]) -> None:
    """Raise `GeometryError` naming both things unless the two grids coincide."""
    if not first.same_as(second):
        raise GeometryError(
            f"{names[0]} and {names[1]} differ in geometry",
            expected="one grid",
            got=f"{first.describe()} against {second.describe()}",
            remedy="resample one to the other with `osteomet resample`",
        )


def _positive(spacing_mm: Sequence[float]) -> NDArray[np.float64]:
    """Spacing that was asked for, if it can be meant."""
    wanted = np.asarray(spacing_mm, dtype=np.float64)
    if not (np.isfinite(wanted).all() and (wanted > 0).all()):
        raise GeometryError(
            "spacing must be positive",
            expected="three distances above 0 mm",
            got=f"{tuple(wanted.tolist())} mm",
            remedy="ask for the distance between voxel centres in mm",
        )
    return wanted


def _check_affine(affine: NDArray[np.float64]) -> None:
    """Refuse what cannot be the geometry of an image."""
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise GeometryError("an affine must be a finite 4×4 matrix", got=f"shape {affine.shape}: {affine.tolist()}")
    if not np.allclose(affine[3], (0, 0, 0, 1)):
        raise GeometryError("the last row of an affine must be 0 0 0 1", got=str(affine[3].tolist()))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if spacing.min() <= 0:
        raise GeometryError(
            "voxel spacing must be positive",
            expected="three distances above 0 mm",
            got=f"{tuple(spacing.tolist())} mm",
            remedy="export the image again with its true spacing",
        )
    axes = affine[:3, :3] / spacing
    shear = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if shear > _SHEAR_TOLERANCE:
        raise GeometryError(
            "the image axes are not perpendicular (sheared affine)",
            got=f"largest cosine between two axes {shear:.4g}",
            remedy="resample to a regular grid in the tool that made it (a tilted gantry is handled for DICOM input)",
        )
