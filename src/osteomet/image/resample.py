"""Images and label maps on another grid, voxel-centre exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray
from scipy.ndimage import find_objects, map_coordinates

from osteomet.core.errors import GeometryError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Volume
from osteomet.image.separable import apply_weights, axis_weights, kernel_radius

Block = tuple[slice, slice, slice]

itk: Any = sitk  # most of SimpleITK's calls carry no types
_PARALLEL_TOLERANCE_MM = 1e-3
_VOTE_TOLERANCE = 1e-4
_VOTE_SLAB_VOXELS = 1 << 22


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
    array = _interpolate(volume.array, volume.grid, grid, outside=outside)
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
    return replace(labels, array=work(labels.array, labels.grid, grid), grid=grid)


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

    Examples
    --------
    >>> axis_aligned_grid(Grid.from_spacing((4, 4, 4), (1.0, 1.0, 1.0)), (2.0, 2.0, 2.0)).describe()
    '3×3×3 voxels of (2, 2, 2) mm from (0, 0, 0) mm'
    """
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    if spacing.shape != (3,) or not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise GeometryError("three positive spacings are needed", got=f"{spacing.tolist()} mm")
    corners = _index_corners(grid.shape)
    edges = grid.to_xyz_mm(np.where(corners > 0, corners + 0.5, -0.5)) / spacing
    first = np.floor(edges.min(axis=0) + 0.5 + 1e-6)
    last = np.maximum(first, np.ceil(edges.max(axis=0) - 0.5 - 1e-6))
    i, j, k = last - first + 1
    uid = grid.frame_of_reference_uid
    return Grid.from_spacing(
        (i, j, k), spacing.tolist(), origin_mm=(first * spacing).tolist(), frame_of_reference_uid=uid
    )


def _index_map(source: Grid, target: Grid) -> NDArray[np.float64]:
    """4×4 matrix from target index to source index."""
    return np.asarray(np.linalg.inv(source.affine) @ target.affine)


def _sigmas(to_source: NDArray[np.float64]) -> NDArray[np.float64]:
    """Anti-aliasing sigma along each source axis, source voxels."""
    ratio = np.linalg.norm(to_source[:3, :3], axis=1)
    excess = ratio**2 - 1
    return np.asarray(np.sqrt(np.where(excess > 1e-6, excess, 0) / (8 * np.log(2))))


def _parallel_axes(source: Grid, target: Grid, to_source: NDArray[np.float64]) -> list[int] | None:
    """Target axis that runs along each source axis, or None where the grids are oblique to each other."""
    matrix = to_source[:3, :3]
    axes = np.abs(matrix).argmax(axis=1)
    if len(set(axes.tolist())) < 3:
        return None
    stray = matrix.copy()
    stray[np.arange(3), axes] = 0
    stray_mm = np.abs(stray) @ (np.array(target.shape) - 1) * source.spacing_mm
    return axes.tolist() if stray_mm.max() <= _PARALLEL_TOLERANCE_MM else None


def _centres(to_source: NDArray[np.float64], axes: list[int], target: Grid) -> list[NDArray[np.float64]]:
    """Target voxel centres along each source axis, in source index units."""
    return [
        to_source[s, t] * np.arange(target.shape[t]) + (to_source[s, 3] + _stray_middle(to_source, s, t, target))
        for s, t in enumerate(axes)
    ]


def _stray_middle(to_source: NDArray[np.float64], s: int, t: int, target: Grid) -> float:
    """Half of what the other two target axes add along source axis ``s``: rounding noise, shared evenly."""
    middle = (np.array(target.shape) - 1) / 2
    return float(to_source[s, :3] @ middle - to_source[s, t] * middle[t])


def _interpolate(array: NDArray[Any], source: Grid, target: Grid, *, outside: float) -> NDArray[np.float32]:
    """Anti-aliased linear interpolation of an array on ``source`` at the voxel centres of ``target``."""
    to_source = _index_map(source, target)
    sigmas = _sigmas(to_source)
    axes = _parallel_axes(source, target, to_source)
    if axes is None:
        return _interpolate_oblique(array, to_source, target.shape, outside=outside)
    centres = _centres(to_source, axes, target)
    weights = [axis_weights(c, n, s) for c, n, s in zip(centres, array.shape, sigmas, strict=True)]
    return apply_weights(array, weights, outside=outside).transpose(np.argsort(axes))


def _interpolate_oblique(
    array: NDArray[Any], to_source: NDArray[np.float64], shape: tuple[int, int, int], *, outside: float
) -> NDArray[np.float32]:
    """Smooth the part of the source that the target needs, then let SimpleITK interpolate in index space."""
    sigmas = _sigmas(to_source)
    block = _needed_block(to_source, shape, array.shape, [kernel_radius(s) for s in sigmas])
    if block is None:
        return np.full(shape, outside, dtype=np.float32)
    part = array[block]
    if sigmas.any():
        centres = [np.arange(n, dtype=np.float64) for n in part.shape]
        smooth = [axis_weights(c, len(c), s) for c, s in zip(centres, sigmas, strict=True)]
        part = apply_weights(part, smooth, outside=outside)
    how = (sitk.sitkLinear, sitk.sitkFloat32)
    return _itk_resample(part, _from_block(to_source, block), shape, how=how, outside=outside)


def _itk_resample(
    array: NDArray[Any],
    to_source: NDArray[np.float64],
    shape: tuple[int, int, int],
    *,
    how: tuple[int, int],
    outside: float,
) -> NDArray[Any]:
    """Resample in index space with SimpleITK; ``how`` is its interpolator and output pixel type."""
    image = itk.GetImageFromArray(array.transpose(2, 1, 0))
    resampler = itk.ResampleImageFilter()
    resampler.SetSize(shape)
    resampler.SetTransform(itk.AffineTransform(to_source[:3, :3].ravel().tolist(), to_source[:3, 3].tolist()))
    resampler.SetInterpolator(how[0])
    resampler.SetOutputPixelType(how[1])
    resampler.SetDefaultPixelValue(outside)
    return np.asarray(itk.GetArrayFromImage(resampler.Execute(image))).transpose(2, 1, 0)


def _from_block(to_source: NDArray[np.float64], block: Block) -> NDArray[np.float64]:
    """Count the source index from the first voxel of a block."""
    shifted = to_source.copy()
    shifted[:3, 3] -= [s.start for s in block]
    return shifted


def _index_corners(shape: tuple[int, int, int]) -> NDArray[np.int64]:
    """Return the indices of the eight corner voxels, shape (8, 3)."""
    picks = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 3)
    return np.asarray(picks * (np.array(shape) - 1))


def _needed_block(
    to_source: NDArray[np.float64], shape: tuple[int, int, int], source_shape: Sequence[int], radii: Sequence[int]
) -> Block | None:
    """Part of the source within reach of the target's centres; None where they do not meet."""
    corners = _index_corners(shape) @ to_source[:3, :3].T + to_source[:3, 3]
    margin = 2 * np.array(radii) + 2
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + margin + 1, source_shape)
    if (low >= high).any():
        return None
    return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def _nearest(array: NDArray[Any], source: Grid, target: Grid) -> NDArray[Any]:
    """Label of the nearest source voxel centre, 0 outside."""
    to_source = _index_map(source, target)
    axes = _parallel_axes(source, target, to_source)
    if axes is None:
        block = _needed_block(to_source, target.shape, array.shape, (0, 0, 0))
        if block is None:
            return np.zeros(target.shape, dtype=array.dtype)
        how = (sitk.sitkNearestNeighbor, sitk.sitkUnknown)
        return _itk_resample(array[block], _from_block(to_source, block), target.shape, how=how, outside=0)
    picks = [np.floor(np.round(c, 6) + 0.5).astype(int) for c in _centres(to_source, axes, target)]
    inside = [(p >= 0) & (p < n) for p, n in zip(picks, array.shape, strict=True)]
    inner = array[np.ix_(*(p[ok] for p, ok in zip(picks, inside, strict=True)))]
    out = np.zeros([len(p) for p in picks], dtype=array.dtype)
    out[np.ix_(*inside)] = inner
    return out.transpose(np.argsort(axes))


def _vote(array: NDArray[Any], source: Grid, target: Grid) -> NDArray[Any]:
    """Per-label linear vote, slab by slab of the target and label by label in its box."""
    to_source = _index_map(source, target)
    radii = [kernel_radius(s) for s in _sigmas(to_source)]
    boxes = [(label + 1, box) for label, box in enumerate(find_objects(array)) if box is not None]
    out = np.zeros(target.shape, dtype=array.dtype)
    for slab in _slabs(target.shape):
        best = np.zeros([s.stop - s.start for s in slab], dtype=np.float32)
        filled = np.zeros_like(best)
        winner = np.zeros(best.shape, dtype=array.dtype)
        for label, box in boxes:
            reach = _reached_block(to_source, box, radii, slab)
            if reach is None:
                continue
            padded = _padded(box, radii, array.shape)
            part = target.crop([s.start for s in reach], [s.stop - s.start for s in reach])
            cropped = source.crop([s.start for s in padded], [s.stop - s.start for s in padded])
            mask = (array[padded] == label).view(np.uint8)
            votes = _interpolate(mask, cropped, part, outside=0)
            local = tuple(slice(r.start - s.start, r.stop - s.start) for r, s in zip(reach, slab, strict=True))
            filled[local] += votes
            ahead = votes > best[local] + _VOTE_TOLERANCE
            winner[local][ahead] = label
            best[local][ahead] = votes[ahead]
        winner[filled < 0.5 - _VOTE_TOLERANCE] = 0
        out[slab] = winner
    return out


def _slabs(shape: tuple[int, int, int]) -> Iterator[Block]:
    """Cut a grid along its last axis into slabs of bounded size."""
    thickness = max(1, _VOTE_SLAB_VOXELS // (shape[0] * shape[1]))
    for start in range(0, shape[2], thickness):
        yield slice(0, shape[0]), slice(0, shape[1]), slice(start, min(start + thickness, shape[2]))


def _padded(box: Block, radii: Sequence[int], shape: Sequence[int]) -> Block:
    """Widen a label's box so that nothing at its edge feels the cut."""
    a, b, c = (
        slice(max(0, s.start - 2 * r - 2), min(n, s.stop + 2 * r + 2))
        for s, r, n in zip(box, radii, shape, strict=True)
    )
    return a, b, c


def _reached_block(to_source: NDArray[np.float64], box: Block, radii: Sequence[int], slab: Block) -> Block | None:
    """Part of a target slab that a source box can influence; None where it cannot."""
    to_target = np.linalg.inv(to_source)
    low = np.array([s.start - r - 1 for s, r in zip(box, radii, strict=True)])
    size = np.array([s.stop - s.start + 2 * r + 2 for s, r in zip(box, radii, strict=True)])
    corners = (low + _index_corners((2, 2, 2)) * (size - 1)) @ to_target[:3, :3].T + to_target[:3, 3]
    first = np.maximum(np.floor(corners.min(axis=0)).astype(int), [s.start for s in slab])
    stop = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, [s.stop for s in slab])
    if (first >= stop).any():
        return None
    return slice(first[0], stop[0]), slice(first[1], stop[1]), slice(first[2], stop[2])
