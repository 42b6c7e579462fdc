"""Where one connected candidate is really several lesions: at the border between bones, and at a clear waist."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.morphology import local_maxima
from skimage.segmentation import watershed

from osteomet.image.components import label_components
from osteomet.image.distance import distance_inside_mm, distance_to_mm
from osteomet.lesions.boxes import nearest_labels

SPILL_MM = 4.0
"""A candidate that reaches no farther than this into a second bone has spilled over an uncertain bone border."""

RESOLVED_VOXELS = 2.0
"""A lobe narrower than this radius, in voxels, is a step of the lattice rather than a lobe."""

_CUBE = np.ones((3, 3, 3), dtype=bool)
_HALF_NEIGHBOURS = [(a, b, c) for a, b, c in product((-1, 0, 1), repeat=3) if (a, b, c) > (0, 0, 0)]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A connected candidate in its box.

    ``seeds`` are voxels sure enough to start a lesion. A part stands alone only with a seed and ``minimum_voxels``.
    """

    mask: NDArray[np.bool_]
    seeds: NDArray[np.bool_]
    spacing_mm: tuple[float, float, float]
    minimum_voxels: int


def split_at_bones(piece: Piece, bones: NDArray[Any]) -> NDArray[np.uint32]:
    """Separate the parts of a candidate that lie in different bones.

    Parameters
    ----------
    piece
        The candidate.
    bones
        Label of the bone of each voxel, 0 outside bone, same shape.

    Returns
    -------
    1 … n inside the candidate, 0 outside; n is 1 where nothing is split.

    Notes
    -----
    Touching lesions of two bones are two lesions: growth through a disc or a joint is rare, and each bone is read,
    scored and treated by itself. Bone borders are only as sharp as the bone network (2.5 mm), so a part stands alone
    only if it reaches deeper than `SPILL_MM` into its bone; any other joins the nearest part that stands. Voxels
    outside bone belong to the nearest bone that the candidate touches.
    """
    whole = piece.mask.astype(np.uint32)
    touched = np.where(piece.mask, bones, 0)
    names = np.unique(touched[touched > 0])
    if len(names) < 2:
        return whole
    territory = np.where(piece.mask, nearest_labels(touched, piece.spacing_mm), 0)
    standing = np.zeros_like(whole)
    n_standing = 0
    for name in names:
        parts, n_parts = label_components(territory == name)
        for part in (parts == number for number in range(1, n_parts + 1)):
            if _stands_alone(part, piece):
                n_standing += 1
                standing[part] = n_standing
    return whole if n_standing < 2 else np.where(piece.mask, nearest_labels(standing, piece.spacing_mm), 0)


def _stands_alone(part: NDArray[np.bool_], piece: Piece) -> bool:
    """Tell whether the part of a candidate inside one bone is a lesion by itself."""
    if not piece.seeds[part].any() or np.count_nonzero(part) < piece.minimum_voxels:
        return False
    depth_mm = distance_to_mm(piece.mask & ~part, piece.spacing_mm)
    return bool(depth_mm[part].max() > SPILL_MM)


def split_at_waists(piece: Piece, *, waist_ratio: float) -> NDArray[np.uint32]:
    """Separate the lobes of a candidate that only a waist connects.

    Parameters
    ----------
    piece
        The candidate.
    waist_ratio
        Two lobes are two lesions where the radius of the neck between them is below this fraction of the radius of the
        narrower lobe.

    Returns
    -------
    1 … n inside the candidate, 0 outside; n is 1 where nothing is split.

    Notes
    -----
    The radius at a voxel is that of the largest ball about it inside the candidate. Its local maxima start a watershed;
    the neck between two basins is the highest radius on their border; basins join from the widest neck down, unless
    both are lobes (`RESOLVED_VOXELS`, a seed, the minimum volume) and the neck is a waist. For two equal spheres of
    radius r, d apart, the neck is √(r² − d²/4): a ratio of 0.6 parts them from d = 1.6 r on. Lobes of two voxels or
    less are never parted, because the neck of such a lattice shape cannot be measured.
    """
    mask = np.pad(piece.mask, 1)
    radius_mm = distance_inside_mm(mask, piece.spacing_mm) - min(piece.spacing_mm) / 2
    radius_mm[~mask] = 0
    peaks, n_peaks = label_components(local_maxima(radius_mm, connectivity=3) & mask)  # type: ignore[no-untyped-call]
    basins = _flood(radius_mm, peaks, mask)
    lobes = _Lobes(basins, radius_mm, np.pad(piece.seeds, 1) & mask, n_peaks)
    resolved_mm = RESOLVED_VOXELS * float(np.prod(piece.spacing_mm)) ** (1 / 3)
    lobe_of = lobes.join(waist_ratio=waist_ratio, resolved_mm=resolved_mm, minimum_voxels=piece.minimum_voxels)
    if lobe_of.max() < 2:
        return piece.mask.astype(np.uint32)
    summits = np.where(radius_mm >= lobes.summit_mm(lobe_of)[basins], lobe_of[basins], 0)
    return _flood(radius_mm, summits, mask)[1:-1, 1:-1, 1:-1].astype(np.uint32)


def _flood(radius_mm: NDArray[np.float32], markers: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Watershed of a mask from its widest places down."""
    return np.asarray(watershed(-radius_mm, markers.astype(np.int32), connectivity=_CUBE, mask=mask))  # type: ignore[no-untyped-call]


class _Lobes:
    """Basins of a watershed, joined step by step into lobes."""

    def __init__(
        self, basins: NDArray[np.int32], radius_mm: NDArray[np.float32], seeds: NDArray[np.bool_], n: int
    ) -> None:
        self.necks = _necks(basins, radius_mm)
        self.size = np.bincount(basins.ravel(), minlength=n + 1)
        self.seeded = np.bincount(basins[seeds], minlength=n + 1) > 0
        self.peak_mm = np.zeros(n + 1)
        np.maximum.at(self.peak_mm, basins.ravel(), radius_mm.ravel())
        self.own_peak_mm = self.peak_mm.copy()
        self.parent = list(range(n + 1))

    def root(self, basin: int) -> int:
        """Find the basin that stands for the lobe of a basin."""
        while self.parent[basin] != basin:
            basin = self.parent[basin]
        return basin

    def join(self, *, waist_ratio: float, resolved_mm: float, minimum_voxels: int) -> NDArray[np.int32]:
        """Join basins from the widest neck down; the lobe, 1 … n, of each basin."""

        def is_lobe(r: int) -> bool:
            return bool(self.seeded[r] and self.size[r] >= minimum_voxels and self.peak_mm[r] >= resolved_mm)

        for first, second, neck_mm in self.necks:
            a, b = self.root(first), self.root(second)
            if a == b:
                continue
            is_waist = neck_mm < waist_ratio * min(self.peak_mm[a], self.peak_mm[b])
            if not (is_waist and is_lobe(a) and is_lobe(b)):
                self._unite(a, b)
        roots = np.array([self.root(basin) for basin in range(len(self.parent))])
        return np.unique(roots, return_inverse=True)[1].astype(np.int32)

    def summit_mm(self, lobe_of: NDArray[np.int32]) -> NDArray[np.float64]:
        """Largest radius of the lobe that each basin belongs to."""
        highest = np.zeros(lobe_of.max() + 1)
        np.maximum.at(highest, lobe_of, self.own_peak_mm)
        return np.asarray(highest[lobe_of])

    def _unite(self, a: int, b: int) -> None:
        """Make one lobe of two."""
        self.parent[b] = a
        self.size[a] += self.size[b]
        self.seeded[a] |= self.seeded[b]
        self.peak_mm[a] = max(self.peak_mm[a], self.peak_mm[b])


def _necks(basins: NDArray[np.int32], radius_mm: NDArray[np.float32]) -> list[tuple[int, int, float]]:
    """Pairs of touching basins with the radius of the neck between them, widest first."""
    widest: dict[tuple[int, int], float] = {}
    for step in _HALF_NEIGHBOURS:
        here, there = _shifted(step)
        differ = (basins[here] != basins[there]) & (basins[here] > 0) & (basins[there] > 0)
        pairs = np.sort(np.stack([basins[here][differ], basins[there][differ]], axis=1), axis=1)
        necks = np.minimum(radius_mm[here][differ], radius_mm[there][differ])
        for (a, b), neck in zip(pairs.tolist(), necks.tolist(), strict=True):
            widest[a, b] = max(widest.get((a, b), 0.0), neck)
    return sorted(((a, b, neck) for (a, b), neck in widest.items()), key=lambda item: (-item[2], item[0], item[1]))


def _shifted(step: tuple[int, int, int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices that put each voxel of an array beside its neighbour one step away."""
    here = tuple(slice(max(-s, 0), -s if s > 0 else None) for s in step)
    there = tuple(slice(max(s, 0), s if s < 0 else None) for s in step)
    return here, there
