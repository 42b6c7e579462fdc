"""Pictures with the marks drawn over them, and the three planes through each lesion."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from osteomet.core.lesion import Lesion
from osteomet.report.cuts import Cut, View, render_grey
from osteomet.report.marks import STYLES, LesionShape, Line, Mark, at_px, orientation_letters, outline_of, scale_bar
from osteomet.report.scene import Scene
from osteomet.report.wording import number, place_name, type_name

_LESION_PICTURE_PX = 240
_CSS_WIDTH_PX, _CSS_TEXT_PX = 340, 13
_DEPTH_AXES = {View.AXIAL: "z", View.SAGITTAL: "x", View.CORONAL: "y"}
_FIELD_MM = (70.0, 100.0)


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture without ink, and the marks that the page draws over it in the frame of its pixels."""

    view: str
    alt: str
    caption: str
    data_uri: str
    width: int
    height: int
    marks: tuple[Mark, ...]


def encode_picture(grey: NDArray[np.uint8]) -> str:
    """Encode 8-bit grey as a lossless data URI."""
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, format="WEBP", lossless=True, method=4)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def lesion_figures(scene: Scene, shape: LesionShape) -> tuple[Figure, Figure, Figure]:
    """Axial, sagittal and coronal pictures centred on a lesion, other lesions outlined where they appear.

    The axial plane is that of the long axis, so that the line drawn is the one measured; the other two planes pass
    through the centroid.
    """
    lesion = shape.lesion
    ends = np.array(lesion.long_axis_ends_xyz_mm)
    x, y, z = lesion.centroid_xyz_mm
    field_mm = field_of_view_mm(shape.extent_mm())
    axial = _lesion_cut(View.AXIAL, (x, y, float(ends[:, 2].mean())), field_mm)
    line = Line(at_px(axial, ends[0]), at_px(axial, ends[1]), "axis")
    return (
        _lesion_figure(scene, lesion, axial, (line,)),
        _lesion_figure(scene, lesion, _lesion_cut(View.SAGITTAL, (x, y, z), field_mm), ()),
        _lesion_figure(scene, lesion, _lesion_cut(View.CORONAL, (x, y, z), field_mm), ()),
    )


def field_of_view_mm(extent_mm: float) -> float:
    """Side of a lesion's pictures: 70 to 100 mm, more only where the lesion would not fit.

    Examples
    --------
    >>> field_of_view_mm(10.0), field_of_view_mm(30.0), field_of_view_mm(120.0)
    (70.0, 90.0, 150.0)
    """
    low, high = _FIELD_MM
    wanted = max(low, min(high, 3 * extent_mm), 1.2 * extent_mm)
    return float(np.ceil(wanted / 10) * 10)


def _lesion_cut(view: View, centre_xyz_mm: tuple[float, float, float], field_mm: float) -> Cut:
    return Cut.around(view, centre_xyz_mm, field_mm=field_mm, pixel_mm=field_mm / _LESION_PICTURE_PX)


def _lesion_figure(scene: Scene, lesion: Lesion, cut: Cut, lines: tuple[Line, ...]) -> Figure:
    """One plane through a lesion."""
    size = _CSS_TEXT_PX * _LESION_PICTURE_PX / _CSS_WIDTH_PX
    drawn = (outline_of(shape.share(cut), STYLES[shape.lesion.type]) for shape in scene.shapes)
    outlines = [outline for outline in drawn if outline is not None]
    depth_mm = float(cut.course.depth_mm[0])
    plane = f"{cut.view.value}, {_DEPTH_AXES[cut.view]} = {number(depth_mm, 1)} mm"
    kind, place = type_name(lesion.type), place_name(lesion.site, lesion.subsite)
    return Figure(
        view=cut.view.value,
        alt=f"Lesion {lesion.id}, {kind}, {place}: {plane}",
        caption=plane.capitalize(),
        data_uri=encode_picture(render_grey(scene.volume, cut, scene.window)),
        width=cut.shape[1],
        height=cut.shape[0],
        marks=(*outlines, *lines, *orientation_letters(cut, size), *scale_bar(cut, size)),
    )
