"""Everything that the pictures are made from, checked and prepared once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import GeometryError, InputError
from osteomet.core.findings import Findings
from osteomet.core.volume import LabelMap, Volume
from osteomet.report.boxes import label_boxes, world_box_mm
from osteomet.report.column import Level, column_levels
from osteomet.report.cuts import GreyWindow, grey_window
from osteomet.report.marks import LesionShape


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A scan with its bones and lesions.

    ``box_mm`` holds all bones and lesions (the whole scan where there are no bones), ``limits_mm`` the whole scan; both
    are lowest and highest LPS corner, shape (2, 3). ``bone_names`` are those with at least one voxel, ``shapes`` stand
    in the order of the findings.
    """

    volume: Volume
    bones: LabelMap
    bone_names: tuple[str, ...]
    box_mm: NDArray[np.float64]
    limits_mm: NDArray[np.float64]
    window: GreyWindow
    levels: tuple[Level, ...]
    shapes: tuple[LesionShape, ...]


def make_scene(findings: Findings, volume: Volume, bones: LabelMap, lesions: LabelMap) -> Scene:
    """Check that image, maps and findings belong together, locate bones and lesions, and choose the grey window.

    Raises
    ------
    GeometryError
        If the maps do not lie on the grid of the image.
    InputError
        If the lesion map and the findings do not hold the same lesions.
    """
    _check_grid("bones", bones, volume)
    _check_grid("lesions", lesions, volume)
    bone_boxes, lesion_boxes = label_boxes(bones.array), label_boxes(lesions.array)
    ids = {lesion.id for lesion in findings.lesions}
    if ids != set(lesion_boxes):
        raise InputError(
            "the lesion map and the findings hold different lesions",
            expected=f"voxels of the lesions {sorted(ids)}",
            got=f"voxels of {sorted(lesion_boxes)}",
        )
    i, j, k = volume.grid.shape
    limits_mm = world_box_mm(volume.grid, [(slice(0, i), slice(0, j), slice(0, k))])
    box_mm = world_box_mm(volume.grid, bone_boxes.values()) if bone_boxes else limits_mm
    centroids = [np.array(lesion.centroid_xyz_mm) for lesion in findings.lesions]
    return Scene(
        volume=volume,
        bones=bones,
        bone_names=tuple(name for name, label in bones.labels.items() if label in bone_boxes),
        box_mm=np.stack([np.min([box_mm[0], *centroids], axis=0), np.max([box_mm[1], *centroids], axis=0)]),
        limits_mm=limits_mm,
        window=grey_window(volume),
        levels=column_levels(findings, bones, bone_boxes),
        shapes=tuple(LesionShape.cut_out(one, lesions, lesion_boxes[one.id]) for one in findings.lesions),
    )


def _check_grid(name: str, labels: LabelMap, volume: Volume) -> None:
    """Pictures of the image and outlines of a map on another grid would not fit."""
    if not labels.grid.same_as(volume.grid):
        raise GeometryError(
            f"the map of {name} does not lie on the grid of the image",
            expected=f"shape {volume.grid.shape}, spacing {volume.grid.spacing_mm} mm, origin {volume.grid.origin_mm}",
            got=f"shape {labels.grid.shape}, spacing {labels.grid.spacing_mm} mm, origin {labels.grid.origin_mm}",
            remedy="resample it with `osteomet resample`",
        )
