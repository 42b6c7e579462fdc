"""Marks of simulated readers on the cases of a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, find_objects

from osteomet.phantom.cohorts.case import Case
from osteomet.phantom.cohorts.readers import READERS, SimulatedMark, SimulatedReader, Target, mark_case

_N_DECOYS = 40
_CLEAR_MM = 20.0
_OF_MIMICS = 0.5


@dataclass(frozen=True, slots=True)
class CaseMarks:
    """What one reader marked on one case; a case without marks was read all the same."""

    reader: str
    case: str
    marks: tuple[SimulatedMark, ...]


def read_cases(
    cases: Sequence[Case], rng: np.random.Generator, *, readers: Sequence[SimulatedReader] = READERS
) -> tuple[CaseMarks, ...]:
    """Let every reader read every case."""
    found = []
    for case in cases:
        targets, decoys = targets_of(case), _decoys(case, rng)
        found += [CaseMarks(reader.name, case.name, mark_case(reader, targets, decoys, rng)) for reader in readers]
    return tuple(found)


def targets_of(case: Case) -> tuple[Target, ...]:
    """Lesions as readers see them: the box of their voxels along the LPS axes."""
    grid, labels = case.lesions.grid, case.lesions.array
    boxes = find_objects(labels.astype(np.int32))
    targets = []
    for lesion in case.found:
        box = boxes[lesion.number - 1]
        inside = np.argwhere(labels[box] == lesion.number) + [s.start for s in box]
        points = grid.to_xyz_mm(inside)
        half = np.abs(grid.affine[:3, :3]).sum(axis=1) / 2
        low, high = points.min(axis=0) - half, points.max(axis=0) + half
        x, y, z = (float(v) for v in (low + high) / 2)
        a, b, c = (float(v) for v in high - low)
        targets.append(Target((x, y, z), (a, b, c), len(inside) * grid.voxel_volume_ml))
    return tuple(targets)


def _decoys(case: Case, rng: np.random.Generator) -> NDArray[np.float64]:
    """Places that readers may mark falsely: half of them mimics where there are any, the rest bone, off lesions."""
    grid = case.lesions.grid
    reach = np.maximum(np.rint(_CLEAR_MM / np.array(grid.spacing_mm)), 1).astype(int)
    near = case.lesions.array > 0
    for axis, n in enumerate(reach):
        line = np.ones([2 * int(n) + 1 if a == axis else 1 for a in range(3)], dtype=bool)
        near = binary_dilation(near, line)
    places = []
    n_mimics = int(_N_DECOYS * _OF_MIMICS)
    for mask, n in ((case.mimics.array > 0, n_mimics), (case.bones.array > 0, _N_DECOYS - n_mimics)):
        index = np.argwhere(mask & ~near)
        if len(index):
            places.append(grid.to_xyz_mm(index[rng.choice(len(index), min(n, len(index)), replace=False)]))
    return np.concatenate(places) if places else np.empty((0, 3))
