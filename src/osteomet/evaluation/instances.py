"""Lesions of a reference and a prediction, and how any two of them lie to each other: before any matching rule.

A rule looks at these small records only, so one pass over the images serves every rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import DatasetError
from osteomet.core.grid import Grid
from osteomet.core.volume import Volume
from osteomet.evaluation.surface import SurfaceScores, surface_scores
from osteomet.evaluation.voxels import VoxelPair, label_of_values
from osteomet.image.components import Connectivity
from osteomet.io.case_images import CaseImages, LesionMap
from osteomet.io.dataset import CaseFacts, LesionNote

CONNECTIVITY: Connectivity = 26
"""Voxels of one component touch by a face, an edge or a corner."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One lesion of a reference or a prediction.

    Parameters
    ----------
    id
        Value of its voxels in an instance-valued map, else its number from 1 in the order of the voxels of the file.
    label
        Its label, or type; None where nobody says. A component of several labels has the commonest.
    n_voxels, volume_ml
        Its size.
    centroid_xyz_mm
        Centre of mass, LPS mm.
    type, site, cause
        What tables say: its type, where that is not its label; the bone it sits in; what a review found behind a false
        positive.
    confidence
        From the table of confidences, else the highest probability inside it; None where there is neither.
    """

    id: int
    label: str | None
    n_voxels: int
    volume_ml: float
    centroid_xyz_mm: tuple[float, float, float]
    type: str | None = None
    site: str | None = None
    cause: str | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class InstancePair:
    """A reference and a predicted lesion, by id, that share a voxel or whose boxes overlap, and may match.

    Parameters
    ----------
    n_voxels
        Voxels in both.
    iou, dice
        Intersection over union, and Dice, of the two lesions alone.
    box_iou
        Intersection over union of their smallest boxes along the array axes.
    centroid_inside
        Whether the voxel at the centre of mass of the prediction belongs to the reference lesion.
    surface
        Distances between their surfaces, for the prediction that has the highest IoU with the reference; else None.
    """

    reference: int
    prediction: int
    n_voxels: int
    iou: float
    dice: float
    box_iou: float
    centroid_inside: bool
    surface: SurfaceScores | None


@dataclass(frozen=True, slots=True)
class CaseInstances:
    """Lesions of one case.

    Parameters
    ----------
    references, predictions, pairs
        Lesions in order of id, and those pairs of them that meet.
    by_label
        Whether lesions of different labels are different lesions even where they touch, and never match.
    predicted
        False where the prediction is missing and counts as empty.
    score
        What the prediction says about the case as a whole: the highest probability or confidence; 0 where it gives
        confidences but found nothing; None where it gives none.
    """

    facts: CaseFacts
    references: tuple[Instance, ...]
    predictions: tuple[Instance, ...]
    pairs: tuple[InstancePair, ...]
    by_label: bool
    predicted: bool
    score: float | None

    def of_label(self, label: str) -> CaseInstances:
        """Lesions of one label alone, and pairs of them."""
        sides = [tuple(x for x in side if x.label == label) for side in (self.references, self.predictions)]
        first, second = ({x.id for x in side} for side in sides)
        pairs = tuple(pair for pair in self.pairs if pair.reference in first and pair.prediction in second)
        return replace(self, references=sides[0], predictions=sides[1], pairs=pairs)


def find_case_instances(images: CaseImages, pair: VoxelPair, *, by_label: bool, tolerance_mm: float) -> CaseInstances:
    """Find the lesions of both maps of a case and compare those that meet.

    Parameters
    ----------
    images, pair
        The case as read, and its labelled voxels.
    by_label
        Whether components are made of each label by itself rather than of all labels together. Instance-valued maps
        have their lesions already.
    tolerance_mm
        Tolerance of the NSD of two lesions, mm.

    Raises
    ------
    DatasetError
        If lesions are to be told apart by label and the label of one is not known.

    Notes
    -----
    ``lesions.csv`` says the site of a component when a place that it names lies in the smallest box around the
    component; of several places the one nearest to its centre of mass counts.
    """
    reference = _find(pair, pair.reference, images.reference, by_label=by_label)
    references = _describe(reference, pair.grid, images.reference)
    if images.prediction is None:
        return CaseInstances(images.facts, references, (), (), by_label, False, None)
    prediction = _find(pair, pair.prediction, images.prediction, by_label=by_label)
    predictions = _describe(prediction, pair.grid, images.prediction, images.probability)
    untyped = [lesion.id for lesion in (*references, *predictions) if lesion.label is None]
    if by_label and untyped:
        raise DatasetError(
            f"case “{images.facts.case}”: lesions are to be matched by type and some have none",
            got=f"lesions {untyped[:10]}",
            remedy="add the column “type” to CASE.confidence.csv or lesions.csv",
        )
    comparable = np.array([[not by_label or r.label == p.label for p in predictions] for r in references], dtype=bool)
    comparable = comparable.reshape(len(references), len(predictions))
    pairs = tuple(_compare(pair, reference, prediction, comparable, tolerance_mm))
    return CaseInstances(images.facts, references, predictions, pairs, by_label, True, _score(images, predictions))


@dataclass(frozen=True, slots=True, eq=False)
class _Lesions:
    """Lesions of one side: of the m lesions, voxels sorted by lesion, and where; ``number`` of each listed voxel or -1.

    ``ijk`` holds the voxels of lesion n at ``starts[n]`` to ``starts[n + 1]``.
    """

    ids: NDArray[np.intp]
    number: NDArray[np.intp]
    ijk: NDArray[np.int32]
    starts: NDArray[np.intp]
    low: NDArray[np.intp]
    high: NDArray[np.intp]
    value: NDArray[np.intp]

    @property
    def n_voxels(self) -> NDArray[np.intp]:
        """Size of each lesion."""
        return np.diff(self.starts)

    def voxels(self, lesion: int) -> NDArray[np.int32]:
        """Voxels of one lesion, shape (n, 3)."""
        return self.ijk[self.starts[lesion] : self.starts[lesion + 1]]

    def centre_ijk(self) -> NDArray[np.float64]:
        """Centre of mass of each lesion, shape (m, 3)."""
        if not self.ids.size:
            return np.zeros((0, 3))
        sums = np.add.reduceat(self.ijk, self.starts[:-1], axis=0, dtype=np.float64)
        return np.asarray(sums / self.n_voxels[:, None])


def _find(pair: VoxelPair, values: NDArray[Any], side: LesionMap, *, by_label: bool) -> _Lesions:
    """Lesions of one side."""
    filled = np.flatnonzero(values)
    ijk, own = pair.ijk[filled], values[filled].astype(np.intp)
    if side.is_instances:
        ids, lesion = np.unique(own, return_inverse=True)
    else:
        component = _components(ijk, own if by_label else np.ones_like(own))
        _, first, lesion = np.unique(component, return_index=True, return_inverse=True)
        rank = np.empty_like(first)
        rank[np.argsort(first)] = np.arange(first.size)
        ids, lesion = np.arange(1, first.size + 1), rank[lesion]
    number = np.full(values.size, -1, dtype=np.intp)
    number[filled] = lesion
    order = np.argsort(lesion, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(lesion, minlength=ids.size))]).astype(np.intp)
    ijk = ijk[order]
    low, high = (
        f.reduceat(ijk, starts[:-1], axis=0).astype(np.intp) if ids.size else np.zeros((0, 3), dtype=np.intp)
        for f in (np.minimum, np.maximum)
    )
    return _Lesions(ids, number, ijk, starts, low, high, _commonest(lesion, own, ids.size))


def _components(ijk: NDArray[np.int32], values: NDArray[np.intp]) -> NDArray[np.intp]:
    """Component of each voxel, some number from 1; voxels of different values never belong together."""
    if not len(ijk):
        return np.zeros(0, dtype=np.intp)
    start = ijk.min(axis=0)
    # One empty layer on each axis: without it cc3d refuses small blocks with a component in every second voxel.
    shape = tuple((ijk.max(axis=0) - start + 2).tolist())
    block = np.zeros(shape, dtype=np.uint32 if values.max() > 255 else np.uint8, order="F")
    places = tuple((ijk - start).T)
    block[places] = values
    labels, _ = cc3d.connected_components(block, connectivity=CONNECTIVITY, return_N=True)
    return np.asarray(labels[places], dtype=np.intp)


def _commonest(lesion: NDArray[np.intp], values: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """Value that most voxels of each lesion have, the lowest of equals."""
    known, value = np.unique(values, return_inverse=True)
    counts = np.bincount(lesion * max(known.size, 1) + value, minlength=n * known.size).reshape(n, known.size)
    return known[counts.argmax(axis=1)] if n else known


def _describe(
    lesions: _Lesions, grid: Grid, side: LesionMap, probability: Volume | None = None
) -> tuple[Instance, ...]:
    """Records of the lesions of one side."""
    centres = lesions.centre_ijk()
    notes = _notes(lesions, centres, grid, side)
    labels = label_of_values(side)
    confidence = [notes[n].confidence for n in range(lesions.ids.size)]
    if probability is not None and lesions.ids.size:
        inside = probability.array[tuple(lesions.ijk.T)]
        highest = np.maximum.reduceat(inside, lesions.starts[:-1])
        confidence = [float(p) if c is None else c for c, p in zip(confidence, highest, strict=True)]
    return tuple(
        Instance(
            id=int(lesions.ids[n]),
            label=labels[int(lesions.value[n])],
            n_voxels=int(lesions.n_voxels[n]),
            volume_ml=int(lesions.n_voxels[n]) * grid.voxel_volume_ml,
            centroid_xyz_mm=(float(x), float(y), float(z)),
            type=notes[n].type,
            site=notes[n].site,
            cause=notes[n].cause,
            confidence=confidence[n],
        )
        for n, (x, y, z) in enumerate(grid.to_xyz_mm(centres))
    )


def _notes(lesions: _Lesions, centres: NDArray[np.float64], grid: Grid, side: LesionMap) -> list[LesionNote]:
    """What tables say about each lesion: by id in an instance-valued map, else by place."""
    if side.is_instances:
        by_id = {note.id: note for note in side.notes}
        return [by_id.get(int(n), LesionNote()) for n in lesions.ids]
    placed = [(note, note.xyz_mm) for note in side.notes if note.xyz_mm is not None]
    if not placed:
        return [LesionNote()] * lesions.ids.size
    ijk = grid.to_ijk([place for _, place in placed])
    found = []
    for centre, low, high in zip(centres, lesions.low, lesions.high, strict=True):
        inside = ((ijk >= low - 0.5) & (ijk <= high + 0.5)).all(axis=1)
        distance = np.where(inside, np.linalg.norm((ijk - centre) * grid.spacing_mm, axis=1), np.inf)
        nearest = int(distance.argmin())
        found.append(placed[nearest][0] if inside[nearest] else LesionNote())
    return found


def _compare(
    pair: VoxelPair, reference: _Lesions, prediction: _Lesions, comparable: NDArray[np.bool_], tolerance_mm: float
) -> Iterator[InstancePair]:
    """Compare all comparable pairs of lesions that share a voxel or whose boxes overlap."""
    if not comparable.size:
        return
    common = np.zeros(comparable.shape, dtype=np.intp)
    both = (reference.number >= 0) & (prediction.number >= 0)
    np.add.at(common, (reference.number[both], prediction.number[both]), 1)
    sizes = reference.n_voxels[:, None] + prediction.n_voxels
    iou, boxes = common / (sizes - common), _box_iou(reference, prediction)
    best = np.where(comparable, iou, 0).argmax(axis=1)
    owner = _owner_of_centres(pair, reference, prediction)
    for r, p in zip(*np.nonzero(comparable & ((common > 0) | (boxes > 0))), strict=True):
        masks = reference.voxels(r), prediction.voxels(p)
        yield InstancePair(
            reference=int(reference.ids[r]),
            prediction=int(prediction.ids[p]),
            n_voxels=int(common[r, p]),
            iou=float(iou[r, p]),
            dice=float(2 * common[r, p] / sizes[r, p]),
            box_iou=float(boxes[r, p]),
            centroid_inside=bool(owner[p] == r),
            surface=surface_scores(*masks, spacing_mm=pair.grid.spacing_mm, tolerance_mm=tolerance_mm)
            if common[r, p] and best[r] == p
            else None,
        )


def _box_iou(reference: _Lesions, prediction: _Lesions) -> NDArray[np.float64]:
    """Intersection over union of the boxes of each reference and each predicted lesion, shape (m, n)."""
    low = np.maximum(reference.low[:, None], prediction.low)
    high = np.minimum(reference.high[:, None], prediction.high)
    common = np.maximum(high - low + 1, 0).prod(axis=2)
    sizes = [(side.high - side.low + 1).prod(axis=1) for side in (reference, prediction)]
    return np.asarray(common / (sizes[0][:, None] + sizes[1] - common))


def _owner_of_centres(pair: VoxelPair, reference: _Lesions, prediction: _Lesions) -> NDArray[np.intp]:
    """Reference lesion at the voxel at the centre of mass of each predicted lesion, -1 where there is none."""
    listed = pair.find(np.floor(prediction.centre_ijk() + 0.5).astype(np.intp))
    return np.where(listed >= 0, reference.number[listed], -1)


def _score(images: CaseImages, predictions: Sequence[Instance]) -> float | None:
    """What the prediction says about the whole case."""
    if images.probability is not None:
        return float(images.probability.array.max())
    scores = [lesion.confidence for lesion in predictions if lesion.confidence is not None]
    gives = images.prediction is not None and images.prediction.scored
    return max(scores, default=0.0 if gives else None)
