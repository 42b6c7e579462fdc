"""The labelled voxels of a reference and a prediction as lists: all that the metrics need of two whole images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap
from osteomet.io.case_images import LesionMap


@dataclass(frozen=True, slots=True, eq=False)
class VoxelPair:
    """Voxels that the reference or the prediction labels, in the order of memory.

    Parameters
    ----------
    grid
        Grid of both images.
    ijk
        Array indices, shape (n, 3).
    reference, prediction
        Value of each voxel in the two maps, shape (n,), 0 for background.
    order
        Memory order by which the voxels are sorted.
    """

    grid: Grid
    ijk: NDArray[np.int32]
    reference: NDArray[Any]
    prediction: NDArray[Any]
    order: Literal["C", "F"]

    def find(self, ijk: NDArray[Any]) -> NDArray[np.intp]:
        """Position in the lists of each of these voxels, shape (m, 3) to (m,); -1 for one that is not listed."""
        listed, wanted = (
            np.ravel_multi_index(tuple(places.T), self.grid.shape, order=self.order) for places in (self.ijk, ijk)
        )
        if not listed.size:
            return np.full(len(ijk), -1)
        position = np.minimum(np.searchsorted(listed, wanted), listed.size - 1)
        return np.where(listed[position] == wanted, position, -1)


def voxel_pair(reference: LabelMap, prediction: LabelMap | None) -> VoxelPair:
    """List the labelled voxels of two maps on one grid; a prediction of None is an empty map.

    Notes
    -----
    Lesions fill about a thousandth of a scan. One pass over the images finds them; everything after works on lists.
    """
    order: Literal["C", "F"] = "F" if reference.array.flags.f_contiguous else "C"
    first = reference.array.ravel(order)
    second = np.zeros_like(first[:1]) if prediction is None else prediction.array.ravel(order)
    places = np.flatnonzero((first != 0) | (second != 0))
    index = np.unravel_index(places, reference.grid.shape, order=order)
    values = np.broadcast_to(second, first.shape)[places]
    return VoxelPair(reference.grid, np.stack(index, axis=-1).astype(np.int32), first[places], values, order)


@dataclass(frozen=True, slots=True, eq=False)
class Labelling:
    """Label of each listed voxel on both sides.

    Label n of ``reference`` and ``prediction``, shape (n_voxels,), is ``names[n - 1]``, and 0 background. Without names
    the two sides cannot tell labels apart, and every labelled voxel has 1.
    """

    names: tuple[str, ...]
    reference: NDArray[np.intp]
    prediction: NDArray[np.intp]


def label_voxels(pair: VoxelPair, reference: LesionMap, prediction: LesionMap | None) -> Labelling:
    """Name the voxels of a pair by the labels of their maps.

    Notes
    -----
    Labels are compared by name: the two maps may number them differently. Where a lesion of an instance-valued map has
    no type, or one that is no label, labels are not compared at all, only lesion against background.
    """
    sides = [reference] if prediction is None else [reference, prediction]
    names = tuple(dict.fromkeys(name for side in sides for name in side.names))
    tables = [label_of_values(side) for side in sides]
    if not {label for table in tables for label in table.values()} <= set(names):
        names = ()
    first = _renumber(pair.reference, tables[0], names)
    second = np.zeros_like(first) if prediction is None else _renumber(pair.prediction, tables[1], names)
    return Labelling(names, first, second)


def label_of_values(side: LesionMap) -> dict[int, str | None]:
    """Label of each value of a map, None for a lesion whose type nobody says; a sole label is that of every lesion."""
    if not side.is_instances:
        return {value: name for name, value in side.map.labels.items()}
    types = {note.id: note.type for note in side.notes}
    sole = side.names[0] if len(side.names) == 1 else None
    return {value: types.get(value) or sole for value in side.map.labels.values()}


def _renumber(values: NDArray[Any], table: Mapping[int, str | None], names: Sequence[str]) -> NDArray[np.intp]:
    """Replace each value by the number of its label."""
    number = {name: n for n, name in enumerate(names, start=1)}
    known = sorted(table)
    new = np.array([0, *(number.get(table[value] or "", 1) for value in known)], dtype=np.intp)
    return np.asarray(new[np.searchsorted(np.array([0, *known]), values)])
