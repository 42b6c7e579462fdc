"""From voxel probabilities to separate lesions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import GeometryError, InputError, UsageError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, Group
from osteomet.core.volume import LabelMap
from osteomet.image.components import label_components
from osteomet.lesions.boxes import Box, find_boxes, origin_of
from osteomet.lesions.split import Piece, split_at_bones, split_at_waists

_TOP_FRACTION = 0.1
_LARGEST_ID = np.iinfo(np.uint16).max


@dataclass(frozen=True, slots=True)
class CandidateSettings:
    """How probability becomes lesions.

    Parameters
    ----------
    seed_probability
        A lesion needs one voxel at least this probable.
    growth_probability
        From its seeds it grows through touching voxels at least this probable: more probable than not. Lower than the
        seed, so that a sure lesion keeps its faint rim while faint specks alone are not candidates.
    minimum_volume_ml
        Anything smaller is dropped: 0.1 ml is a ball of 5.8 mm, about 30 voxels of 1.5 mm, near the smallest that a CT
        of ordinary slice thickness shows.
    waist_ratio
        Two lobes of one bone are two lesions where the neck between them has less than this fraction of the radius of
        the narrower one.
    minimum_inside_fraction
        Share of a lesion that must lie inside labelled bone (`locate.Site.inside_fraction`). Discs and soft tissue
        beside bone are what a lesion network most often takes for lysis.

    Raises
    ------
    UsageError
        If the probabilities do not satisfy 0 < growth ≤ seed ≤ 1, the volume is negative or the ratio is outside 0–1.
    """

    seed_probability: float = 0.5
    growth_probability: float = 0.5
    minimum_volume_ml: float = 0.1
    waist_ratio: float = 0.6
    minimum_inside_fraction: float = 0.5

    def __post_init__(self) -> None:
        ordered = 0 < self.growth_probability <= self.seed_probability <= 1
        fractions = 0 <= self.waist_ratio <= 1 and 0 <= self.minimum_inside_fraction <= 1
        if not (ordered and fractions and self.minimum_volume_ml >= 0):
            raise UsageError(
                "the settings for candidates cannot be meant",
                expected="0 < growth_probability ≤ seed_probability ≤ 1, minimum_volume_ml ≥ 0, ratio and fraction 0–1",
                got=str(self),
            )


def find_instances(
    probability: NDArray[np.floating[Any]], bones: LabelMap, *, settings: CandidateSettings
) -> NDArray[np.uint16]:
    """Find the lesions in a probability map.

    Parameters
    ----------
    probability
        Shape (n_types, i, j, k), 0–1, types exclusive (as from a softmax) so that their sum is the probability of any
        lesion.
    bones
        Bones on the same grid, named by the vocabulary.
    settings
        Thresholds.

    Returns
    -------
    Shape (i, j, k); lesions are numbered from 1 in order of their centroid from head to foot, then from the patient's
    right to left, then from front to back: an order that does not change with the confidence of a model or the
    orientation of the scan. All 0 where nothing is found.

    Raises
    ------
    GeometryError
        If probability and bones differ in shape.
    InputError
        If there are more than 65535 lesions, which no patient has.

    Notes
    -----
    Types are summed for the extent (a mixed lesion is one lesion), thresholded with hysteresis, connected over 26
    neighbours, then split where bones meet (`split.split_at_bones`) and at waists (`split.split_at_waists`).
    """
    if probability.ndim != 4 or probability.shape[1:] != bones.grid.shape:
        raise GeometryError(
            "probabilities and bones differ in shape",
            expected=f"(n_types, {', '.join(map(str, bones.grid.shape))})",
            got=str(probability.shape),
        )
    total = probability.sum(axis=0)
    found = list(_pieces(total, bones, settings))
    if len(found) > _LARGEST_ID:
        raise InputError(
            "there are more candidates than any patient has lesions",
            got=f"{len(found)} candidates",
            remedy="raise the thresholds or the minimum volume",
        )
    instances = np.zeros(total.shape, dtype=np.uint16)
    found.sort(key=lambda item: _head_to_foot(item[0], item[1], bones.grid))
    for number, (box, mask) in enumerate(found, start=1):
        instances[box][mask] = number
    return instances


def compute_confidences(instances: NDArray[Any], probability: NDArray[np.floating[Any]]) -> dict[int, float]:
    """Confidence of every lesion of an instance map: mean of the most probable tenth of its voxels, at least one.

    The probability of a voxel is the sum over types, cut to 1. The value is **uncalibrated**: it orders lesions, it is
    not a frequency. The top tenth rather than the mean, because the faint rim grows with the size of a lesion and says
    nothing about whether there is one.

    Parameters
    ----------
    instances
        Shape (i, j, k), 0 is background; an empty map gives an empty dictionary.
    probability
        Shape (n_types, i, j, k), 0–1.
    """
    confidences = {}
    for label, box in find_boxes(instances).items():
        values = probability[:, *box][:, instances[box] == label].sum(axis=0, dtype=np.float64)
        n_top = math.ceil(_TOP_FRACTION * values.size)
        confidences[label] = min(float(np.partition(values, -n_top)[-n_top:].mean()), 1.0)
    return confidences


def _pieces(
    total: NDArray[np.floating[Any]], bones: LabelMap, settings: CandidateSettings
) -> Iterator[tuple[Box, NDArray[np.bool_]]]:
    """Box and mask of every lesion."""
    minimum_voxels = max(math.ceil(settings.minimum_volume_ml / bones.grid.voxel_volume_ml - 1e-9), 1)
    bone_numbers = _whole_bones(bones)
    components, _ = label_components(total >= settings.growth_probability)
    for label, box in find_boxes(components).items():
        mask = components[box] == label
        seeds = mask & (total[box] >= settings.seed_probability)
        if np.count_nonzero(mask) < minimum_voxels or not seeds.any():
            continue
        piece = Piece(mask, seeds, bones.grid.spacing_mm, minimum_voxels)
        for part in _parts(split_at_bones(piece, bone_numbers[bones.array[box]])):
            lobes = split_at_waists(
                Piece(part, seeds & part, piece.spacing_mm, minimum_voxels), waist_ratio=settings.waist_ratio
            )
            yield from ((box, lobe) for lobe in _parts(lobes))


def _parts(labels: NDArray[np.uint32]) -> Iterator[NDArray[np.bool_]]:
    """Mask of each label from 1 up."""
    return (labels == number for number in range(1, int(labels.max()) + 1))


def _whole_bones(bones: LabelMap) -> NDArray[np.uint16]:
    """Table from label to a number for the whole bone: parts of one hip bone, or of one femur, share a number."""
    numbers: dict[str, int] = {}
    table = np.zeros(max(bones.labels.values(), default=0) + 1, dtype=np.uint16)
    for name, label in bones.labels.items():
        parted = name in STRUCTURES and STRUCTURES[name].group in (Group.PELVIS, Group.FEMUR)
        bone = f"{STRUCTURES[name].group} {name.rsplit('_', 1)[-1]}" if parted else name
        table[label] = numbers.setdefault(bone, len(numbers) + 1)
    return table


def _head_to_foot(box: Box, mask: NDArray[np.bool_], grid: Grid) -> tuple[float, float, float]:
    """Key that sorts lesions; rounded, so that the orientation of the grid cannot turn a tie."""
    x, y, z = np.round(grid.to_xyz_mm(np.argwhere(mask).mean(axis=0) + origin_of(box)), 3)
    return -z, x, y
