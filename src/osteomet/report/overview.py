"""The two overview pictures: sagittal and coronal cuts that follow the column, with levels and lesions named."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteomet.report.column import column_course
from osteomet.report.cuts import Course, Cut, View, render_grey, sample_nearest
from osteomet.report.figures import Figure, encode_picture
from osteomet.report.labels import FreeSpace
from osteomet.report.marks import (
    STYLES,
    WHITE,
    Diamond,
    LesionShape,
    Mark,
    PointPx,
    at_px,
    orientation_letters,
    outline_of,
    scale_bar,
)
from osteomet.report.scene import Scene
from osteomet.report.wording import place_name, type_name

_MARGIN_MM = 25.0
_LABEL_MARGIN_MM = 20.0
_COLUMN_MARGIN_MM = 80.0
_MOST_ROWS = 900
_FINEST_PIXEL_MM = 0.6
_FEWEST_PIXELS = 9
_CSS_WIDTH_PX, _CSS_HEIGHT_PX, _CSS_TEXT_PX = 1060, 760, 13
_SIDES = {View.SAGITTAL: ("R", "L"), View.CORONAL: ("A", "P")}


def overview_figures(scene: Scene) -> tuple[Figure, Figure]:
    """Sagittal and coronal picture of one height and scale, so that levels line up side by side."""
    cuts = overview_cuts(scene)
    shown = min(_CSS_WIDTH_PX / sum(cut.shape[1] for cut in cuts), _CSS_HEIGHT_PX / cuts[0].shape[0])
    sagittal, coronal = (_overview(scene, cut, _CSS_TEXT_PX / shown) for cut in cuts)
    return sagittal, coronal


def overview_cuts(scene: Scene) -> tuple[Cut, Cut]:
    """Lay both cuts through the centres of the vertebrae, or through the middle of the bones without a column.

    Both have the height of the bones with a margin; the coronal one has their width, and the sagittal one is as deep as
    the column and the lesions. Neither is higher than the scan, and each may leave a black margin for labels beside it.
    """
    limits_mm = scene.limits_mm + np.array([[-_LABEL_MARGIN_MM], [_LABEL_MARGIN_MM]]) * [1, 1, 0]
    wide = scene.box_mm + np.array([[-_MARGIN_MM], [_MARGIN_MM]])
    narrow = wide.copy()
    depths = [level.centre_xyz_mm[1] for level in scene.levels]
    if depths:
        depths += [shape.lesion.centroid_xyz_mm[1] for shape in scene.shapes]
        narrow[:, 1] = min(depths) - _COLUMN_MARGIN_MM, max(depths) + _COLUMN_MARGIN_MM
    wide, narrow = (np.clip(box, *limits_mm) for box in (wide, narrow))
    pixel_mm = max(_FINEST_PIXEL_MM, float(wide[1, 2] - wide[0, 2]) / _MOST_ROWS)
    x, y, _ = wide.mean(axis=0)
    sagittal = column_course(scene.levels, axis=0) or Course.flat(float(x))
    coronal = column_course(scene.levels, axis=1) or Course.flat(float(y))
    return (
        Cut.over(View.SAGITTAL, narrow, sagittal, pixel_mm=pixel_mm),
        Cut.over(View.CORONAL, wide, coronal, pixel_mm=pixel_mm),
    )


def _overview(scene: Scene, cut: Cut, size: float) -> Figure:
    """One overview picture, its labels beside the bone."""
    bones = sample_nearest(scene.bones.array, scene.bones.grid, cut)
    letters, bar = orientation_letters(cut, size), scale_bar(cut, size)
    space = FreeSpace(bones > 0, size)
    for word in (*letters, bar[1]):
        space.reserve(word)
    marks: list[Mark] = []
    for level in scene.levels:
        mask = bones == scene.bones.labels.get(level.name, -1)
        edge = _edge_px(mask, at_px(cut, level.centre_xyz_mm), to_left=True)
        marks += space.label(level.label, edge, to_left=True, role="level", colour=WHITE)
    for shape in scene.shapes:
        marks += _lesion_marks(shape, cut, space, size)
    return Figure(
        view=cut.view.value,
        alt=f"{cut.view.value.capitalize()} overview: {_contents(scene)}",
        caption=f"Mid-{cut.view.value}, {'following the column' if cut.course.at_mm.size > 1 else 'straight'}",
        data_uri=encode_picture(render_grey(scene.volume, cut, scene.window)),
        width=cut.shape[1],
        height=cut.shape[0],
        marks=(*marks, *letters, *bar),
    )


def _edge_px(mask: NDArray[np.bool_], centre: PointPx, *, to_left: bool) -> PointPx:
    """Left or right edge of a mask in the row of its centre; the centre itself where that row is empty."""
    y = centre[1]
    columns = np.flatnonzero(mask[int(np.clip(y, 0, mask.shape[0] - 1))])
    if columns.size == 0:
        return centre
    return (float(columns[0]), y) if to_left else (float(columns[-1] + 1), y)


def _lesion_marks(shape: LesionShape, cut: Cut, space: FreeSpace, size: float) -> list[Mark]:
    """Outline and number of a lesion, or a diamond with its distance where the cut does not show it."""
    lesion, style = shape.lesion, STYLES[shape.lesion.type]
    centre, share = at_px(cut, lesion.centroid_xyz_mm), shape.share(cut)
    outline = outline_of(share, style)
    if outline is not None and np.count_nonzero(share >= 0.5) >= _FEWEST_PIXELS:
        edge = _edge_px(share >= 0.5, centre, to_left=False)
        return [outline, *space.label(str(lesion.id), edge, to_left=False, role="lesion", colour=style.colour)]
    distance_mm = cut.distance_mm(lesion.centroid_xyz_mm)
    text = f"{lesion.id} · {abs(distance_mm):.0f} mm {_SIDES[cut.view][int(distance_mm > 0)]}"
    diamond = Diamond(centre, 0.35 * size, style.colour)
    edge = (centre[0] + diamond.radius, centre[1])
    return [diamond, *space.label(text, edge, to_left=False, role="lesion", colour=style.colour)]


def _contents(scene: Scene) -> str:
    """Say what an overview shows, for those who cannot see it."""
    names = [level.label for level in scene.levels]
    levels = f"levels {names[0]} to {names[-1]}" if names else "no vertebra named"
    found = [shape.lesion for shape in scene.shapes]
    lesions = [f"lesion {one.id} {type_name(one.type)}, {place_name(one.site, one.subsite)}" for one in found]
    return "; ".join([levels, *(lesions or ["no lesion"])])
