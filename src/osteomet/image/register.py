"""Rigid registration of one sequence to another of the same patient."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from osteomet.core.errors import GeometryError
from osteomet.core.grid import Grid
from osteomet.core.volume import Volume
from osteomet.image.resample import sample_linear

sitk: Any = SimpleITK  # most of its calls carry no types

LEAST_OVERLAP = 0.5
"""Two sequences that share less of the field of view are not compared (kim2024)."""
_LEVELS_MM = (6.0, 3.0, 1.5)
_BINS = 32
_FEWEST_VOXELS = 4
_SHARE_SAMPLED = 0.25
_N_STEPS = 100
_SEED = 1
_DIGITS = 6
_BESIDE_MM = 20.0
_LATTICE_POINTS = 48


@dataclass(frozen=True, slots=True, eq=False)
class Registered:
    """A sequence put in place.

    Parameters
    ----------
    volume
        The same voxels on the grid that brings them onto the other sequence: nothing is resampled.
    motion
        Matrix (4, 4) that takes a point of the other sequence to where this one showed it, LPS mm.
    shift_mm
        How far the middle of the overlap moved.
    angle_deg
        How far it turned.
    """

    volume: Volume
    motion: NDArray[np.float64]
    shift_mm: float
    angle_deg: float


def overlap_share(first: Grid, second: Grid) -> float:
    """Share of the smaller field of view that the other one covers, 0 to 1.

    Examples
    --------
    >>> big = Grid.from_spacing((10, 10, 10), (2.0, 2.0, 2.0))
    >>> half = Grid.from_spacing((10, 10, 10), (1.0, 1.0, 1.0), origin_mm=(-5.5, 0.0, 0.0))
    >>> overlap_share(big, half)
    0.5
    """
    smaller, larger = sorted((first, second), key=lambda grid: grid.voxel_volume_mm3 * np.prod(grid.shape))
    points = _lattice(smaller)
    ijk = larger.to_ijk(points)
    inside = ((ijk >= -0.5) & (ijk <= np.array(larger.shape) - 0.5)).all(axis=-1)
    return float(inside.mean())


def register_rigid(fixed: Volume, moving: Volume) -> Registered:
    """Find the turn and shift that bring one sequence onto another, from where the scanner says both lie.

    Maximises the mutual information of grey values, so the sequences may differ in contrast [1]_, coarse to fine. The
    same two volumes give the same result. Where a part of the picture enhances, the optimum is drawn aside by up to a
    quarter of a voxel: smaller motions cannot be told from none.

    Parameters
    ----------
    fixed
        Stays where it is.
    moving
        Is put in place.

    Raises
    ------
    GeometryError
        If the fields of view share less than `LEAST_OVERLAP`, or an image is constant or too small.

    References
    ----------
    .. [1] Mattes D. et al. PET-CT image registration in the chest using free-form deformations.
       https://doi.org/10.1109/TMI.2003.809072
    """
    share = overlap_share(fixed.grid, moving.grid)
    if share < LEAST_OVERLAP:
        raise GeometryError(
            "two sequences show different parts of the patient",
            expected=f"at least {LEAST_OVERLAP:.0%} of the smaller field of view in both",
            got=f"{share:.0%}",
            remedy="leave one of them out",
        )
    for name, volume in (("fixed", fixed), ("moving", moving)):
        if min(volume.grid.shape) < _FEWEST_VOXELS or volume.array.min() == volume.array.max():
            raise GeometryError(
                f"the {name} image cannot be registered",
                expected=f"{_FEWEST_VOXELS} voxels or more along each axis, of more than one value",
                got=volume.grid.describe(),
                remedy="leave it out",
            )
    centre = _overlap_centre_mm(fixed.grid, moving.grid)
    transform = _optimise(fixed, moving, centre)
    # Sums over threads differ in their last digits from run to run; rounding gives the same result each time.
    transform.SetParameters([round(value, _DIGITS) for value in transform.GetParameters()])
    matrix = np.reshape(transform.GetMatrix(), (3, 3))
    offset = centre + transform.GetTranslation() - matrix @ centre
    # The transform takes points of the fixed image to where the moving one shows them; its inverse moves the grid.
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = matrix, offset
    grid = Grid(moving.grid.shape, np.linalg.inv(motion) @ moving.grid.affine, fixed.grid.frame_of_reference_uid)
    angle = np.arccos(np.clip((np.trace(matrix) - 1) / 2, -1, 1))
    shift = float(np.linalg.norm(matrix @ centre + offset - centre))
    return Registered(replace(moving, grid=grid), motion, shift, float(np.degrees(angle)))


def alignment_gain(fixed: Volume, moving: Volume) -> float:
    """Mutual information of two images where they lie, over the most that they share `_BESIDE_MM` beside it.

    Images of one patient share more in place than beside it; images that have nothing to do with each other share
    about as much anywhere, so that the ratio is near 1. It is 0 where they share nothing at all. Only what is brighter
    than a tenth of the 99th percentile of the fixed image counts: air says nothing.
    """
    points = _lattice(fixed.grid, _LATTICE_POINTS).reshape(-1, 3)
    values = sample_linear(fixed.array, fixed.grid.to_ijk(points))
    is_body = values > np.percentile(values, 99) / 10
    points, values = points[is_body], values[is_body]
    moves = np.vstack([np.zeros(3), _BESIDE_MM * np.eye(3), -_BESIDE_MM * np.eye(3)])
    in_place, *beside = (_shared_at(values, moving, points + move) for move in moves)
    return in_place / max(beside) if max(beside) > 0 else 0.0


def _shared_at(values: NDArray[np.float32], moving: Volume, points: NDArray[np.float64]) -> float:
    """Mutual information (nat) of values and what the moving image shows at their points, where it shows any."""
    ijk = moving.grid.to_ijk(points)
    shown = ((ijk >= -0.5) & (ijk <= np.array(moving.grid.shape) - 0.5)).all(axis=-1)
    if not shown.any():
        return 0.0
    pairs = (_by_rank(values[shown]), _by_rank(sample_linear(moving.array, ijk[shown])))
    joint = np.histogram2d(*pairs, bins=_BINS, range=[(0, 1), (0, 1)])[0] / shown.sum()
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    full = joint > 0
    return float((joint[full] * np.log(joint[full] / apart[full])).sum())


def _by_rank(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Share of the values that are smaller, so that every bin of a histogram is used."""
    return np.searchsorted(np.sort(values), values) / len(values)


def _optimise(fixed: Volume, moving: Volume, centre: NDArray[np.float64]) -> Any:
    """Rigid transform of highest mutual information, from the identity."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(_SHARE_SAMPLED, _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0, minStep=1e-3, numberOfIterations=_N_STEPS, relaxationFactor=0.6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    transform = sitk.Euler3DTransform()
    transform.SetCenter(centre.tolist())
    for edge_mm in _LEVELS_MM:
        method.SetInitialTransform(transform, inPlace=False)
        transform = _euler(method.Execute(_coarser(fixed, edge_mm), _coarser(moving, edge_mm)))
    return transform


def _euler(found: Any) -> Any:
    """The rigid transform inside what the method returns."""
    return sitk.Euler3DTransform(found.GetNthTransform(0) if hasattr(found, "GetNthTransform") else found)


def _coarser(volume: Volume, edge_mm: float) -> Any:
    """SimpleITK image, smoothed and thinned along the axes that are finer than an edge."""
    spacing = np.array(volume.grid.spacing_mm)
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array.T, dtype=np.float32))
    image.SetSpacing(spacing.tolist())
    image.SetDirection(volume.grid.direction.ravel().tolist())
    image.SetOrigin(volume.grid.origin_mm)
    factors = np.clip(np.floor(edge_mm / spacing), 1, np.array(volume.grid.shape) // 8 + 1).astype(int)
    sigmas = [s * f / 2 if f > 1 else 1e-3 for s, f in zip(spacing, factors, strict=True)]
    return sitk.Shrink(sitk.SmoothingRecursiveGaussian(image, sigmas), factors.tolist())


def _lattice(grid: Grid, most: int = 20) -> NDArray[np.float64]:
    """Points spread evenly through a grid, so many along an axis at most, in mm."""
    axes = [np.linspace(-0.5, n - 0.5, min(n, most) + 1) for n in grid.shape]
    middles = [(axis[1:] + axis[:-1]) / 2 for axis in axes]
    return grid.to_xyz_mm(np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1))


def _overlap_centre_mm(fixed: Grid, moving: Grid) -> NDArray[np.float64]:
    """Middle of what both show."""
    points = _lattice(fixed).reshape(-1, 3)
    ijk = moving.to_ijk(points)
    inside = ((ijk >= -0.5) & (ijk <= np.array(moving.shape) - 0.5)).all(axis=-1)
    return np.asarray(points[inside].mean(axis=0) if inside.any() else points.mean(axis=0))
