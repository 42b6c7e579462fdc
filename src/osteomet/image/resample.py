"""Images and label maps on another grid, voxel-centre exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, map_coordinates

from osteomet.core.errors import GeometryError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Volume
from osteomet.image.index_map import Block, IndexMap, clipped, size_of, split, widened
from osteomet.image.oblique import resample_oblique
from osteomet.image.separable import apply_weights, axis_weights, kernel_radius

_TIE = 1e-4  # votes that differ by less, which is rounding, count as equal
_EDGE = 1e-6
_SLAB_VOXELS = 1 << 22


def resample_volume(volume: Volume, grid: Grid, *, outside: float) -> Volume:
    """Interpolate linearly onto another grid, smoothing first along every source axis that gets coarser.

    Parameters
    ----------
    volume
        The image, int16 or float32.
    grid
        Where the result lies; any orientation.
    outside
        Value of target voxels whose centre lies outside the box that the source voxels fill (CT: −1024 HU).

    Returns
    -------
    Image on exactly ``grid``, float32; the very same array where both grids coincide.

    Notes
    -----
    Values are taken at voxel centres; the half voxel between the outer centres and the edge of the box takes the border
    value. Before interpolation a Gaussian widens the point spread to that of the new spacing: with full width at half
    maximum standing for the spacing, variances add, so ``sigma = sqrt(new² − old²) / (2 sqrt(2 ln 2))`` and nothing is
    smoothed where the new spacing is not larger [1]_. ``new`` is the spread of a target voxel along the source axis,
    the root of the sum of squares of its edges projected there, which is its spacing where the axes are parallel.
    A constant stays constant, also at borders, and a linear ramp stays linear away from them.

    Grids with parallel axes (flipped and permuted ones included) are resampled axis by axis; others by SimpleITK.
    Either way only the part of the source that the target needs is touched.

    References
    ----------
    .. [1] Cardoso M.J. et al. Scale factor point spread function matching: beyond aliasing in image resampling.
       MICCAI 2015. https://doi.org/10.1007/978-3-319-24571-3_81
    """
    if volume.grid.same_as(grid):
        return replace(volume, grid=grid)
    array = _linear(volume.array, IndexMap.between(volume.grid, grid), grid.shape, outside=outside)
    return replace(volume, array=array, grid=grid)


def resample_labels(labels: LabelMap, grid: Grid, *, method: Literal["nearest", "vote"]) -> LabelMap:
    """Bring labels onto another grid; names and type stay.

    Parameters
    ----------
    labels
        The label map.
    grid
        Where the result lies. Voxels outside the box that the source voxels fill are background.
    method
        ``nearest`` takes the label of the nearest voxel centre (half-way: the higher source index); thin structures may
        vanish on a coarser grid. ``vote`` resamples the occupancy of each label as `resample_volume` does: a voxel is
        foreground where all labels together fill at least half of it, and takes the label that fills most of it (the
        lower one of equals). Deciding on foreground first leaves no gap where several labels meet.
    """
    if labels.grid.same_as(grid):
        return replace(labels, grid=grid)
    work = _nearest if method == "nearest" else _vote
    array = work(labels.array, IndexMap.between(labels.grid, grid), grid.shape)
    return replace(labels, array=array, grid=grid)


def covered_by(source: Grid, grid: Grid) -> NDArray[np.bool_]:
    """Tell which voxel centres of ``grid`` lie in the box that the voxels of ``source`` fill, shape of ``grid``.

    Examples
    --------
    >>> narrow = Grid.from_spacing((2, 1, 1), (1.0, 1.0, 1.0), origin_mm=(1.0, 0.0, 0.0))
    >>> covered_by(narrow, Grid.from_spacing((4, 1, 1), (1.0, 1.0, 1.0))).ravel().tolist()
    [False, True, True, False]
    """
    to_source = IndexMap.between(source, grid)
    i, j, k = np.ogrid[tuple(slice(0, n) for n in grid.shape)]
    inside = np.ones(grid.shape, dtype=np.bool_)
    for n, (a, b, c), offset in zip(source.shape, to_source.matrix, to_source.offset, strict=True):
        place = a * i + b * j + c * k + offset
        inside &= (place >= -0.5 - _EDGE) & (place <= n - 0.5 + _EDGE)
    return inside


def sample_linear(array: NDArray[Any], ijk: NDArray[np.float64]) -> NDArray[np.float32]:
    """Trilinear values at fractional indices.

    Parameters
    ----------
    array
        Values, shape (i, j, k).
    ijk
        Indices, shape (..., 3). Beyond the outer voxel centres the border value is taken.

    Returns
    -------
    Values, shape (...).

    Examples
    --------
    >>> sample_linear(np.arange(8.0).reshape(2, 2, 2), np.array([[0.5, 0.5, 0.5], [0.0, 0.0, 9.0]])).tolist()
    [3.5, 1.0]
    """
    index = np.moveaxis(np.asarray(ijk, dtype=np.float64), -1, 0)
    return np.asarray(map_coordinates(array, index, order=1, mode="nearest", output=np.float32))


def axis_aligned_grid(grid: Grid, spacing_mm: Sequence[float]) -> Grid:
    """Smallest grid along the patient axes that covers the box of another grid.

    Its axes run to the patient's left, posterior and superior, and its voxel centres lie on the world lattice
    ``n * spacing_mm``, so that two acquisitions of one patient get the same lattice.

    Parameters
    ----------
    grid
        Any grid; its box is measured from voxel edge to voxel edge.
    spacing_mm
        Three positive spacings, mm.

    Raises
    ------
    GeometryError
        If the spacing is not three positive numbers.

    Examples
    --------
    >>> axis_aligned_grid(Grid.from_spacing((4, 4, 4), (1.0, 1.0, 1.0)), (2.0, 2.0, 2.0)).describe()
    '3×3×3 voxels of (2, 2, 2) mm from (0, 0, 0) mm'
    """
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    if spacing.shape != (3,) or not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise GeometryError("three positive spacings are needed", got=f"{spacing.tolist()} mm")
    middle = (np.array(grid.shape) - 1) / 2
    centre = grid.to_xyz_mm(middle)
    half = np.abs(grid.affine[:3, :3]) @ (middle + 0.5)
    first = np.floor((centre - half) / spacing + 0.5 + 1e-6)
    last = np.maximum(first, np.ceil((centre + half) / spacing - 0.5 - 1e-6))
    i, j, k = last - first + 1
    uid = grid.frame_of_reference_uid
    return Grid.from_spacing(
        (i, j, k), spacing.tolist(), origin_mm=(first * spacing).tolist(), frame_of_reference_uid=uid
    )


def _linear(
    array: NDArray[Any], to_source: IndexMap, shape: tuple[int, int, int], *, outside: float
) -> NDArray[np.float32]:
    """Anti-aliased linear interpolation of an array at the voxel centres of a target of this shape."""
    axes = to_source.parallel_axes(shape)
    if axes is None:
        return resample_oblique(array, to_source, shape, method="linear", outside=outside)
    centres = to_source.centres(axes, shape)
    weights = [axis_weights(c, n, s) for c, n, s in zip(centres, array.shape, to_source.sigmas(), strict=True)]
    return apply_weights(array, weights, outside=outside).transpose(np.argsort(axes))


def _nearest(array: NDArray[Any], to_source: IndexMap, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Value of the nearest source voxel centre, 0 outside."""
    axes = to_source.parallel_axes(shape)
    if axes is None:
        return resample_oblique(array, to_source, shape, method="nearest", outside=0)
    picks = [np.floor(np.round(c, 6) + 0.5).astype(int) for c in to_source.centres(axes, shape)]
    inside = [(p >= 0) & (p < n) for p, n in zip(picks, array.shape, strict=True)]
    out = np.zeros([len(p) for p in picks], dtype=array.dtype)
    out[np.ix_(*inside)] = array[np.ix_(*(p[ok] for p, ok in zip(picks, inside, strict=True)))]
    return out.transpose(np.argsort(axes))


def _vote(array: NDArray[Any], to_source: IndexMap, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Per-label linear vote, slab by slab of the target."""
    boxes = {label: box for label, box in enumerate(find_objects(array), start=1) if box is not None}
    out = np.zeros(shape, dtype=array.dtype, order="F" if array.flags.f_contiguous else "C")
    for slab in split(shape, (shape[0], shape[1], max(1, _SLAB_VOXELS // (shape[0] * shape[1])))):
        out[slab] = _vote_slab(array, boxes, to_source, slab)
    return out


def _vote_slab(array: NDArray[Any], boxes: Mapping[int, Block], to_source: IndexMap, slab: Block) -> NDArray[Any]:
    """Vote in one block of the target, label by label in the part of it that the label's box can reach."""
    radii = [kernel_radius(sigma) for sigma in to_source.sigmas()]
    winner = np.zeros(size_of(slab), dtype=array.dtype)
    most = np.zeros(winner.shape, dtype=np.float32)
    filled = np.zeros(winner.shape, dtype=np.float32)
    to_target = to_source.in_target(slab).inverse()
    for label, box in boxes.items():
        part = clipped(to_target.reach(widened(box, [r + 1 for r in radii])), winner.shape)
        if 0 in size_of(part):
            continue
        padded = clipped(widened(box, [2 * r + 2 for r in radii]), array.shape)
        here = to_source.in_target(slab).in_target(part).in_source(padded)
        votes = _linear((array[padded] == label).view(np.uint8), here, size_of(part), outside=0)
        filled[part] += votes
        ahead = votes > most[part] + _TIE
        winner[part][ahead] = label
        most[part][ahead] = votes[ahead]
    winner[filled < 0.5 - _TIE] = 0
    return winner
