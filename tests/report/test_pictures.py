import base64
import io
import re

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from osteomet.core.findings import Findings
from osteomet.core.vocabulary import LesionType
from osteomet.core.volume import LabelMap, Volume
from osteomet.report.cuts import Cut, View, sample_nearest
from osteomet.report.figures import field_of_view_mm, lesion_figures
from osteomet.report.labels import FreeSpace
from osteomet.report.marks import STYLES, Diamond, Line, Outline, Word, outline_of, scale_bar
from osteomet.report.overview import overview_cuts, overview_figures
from osteomet.report.scene import make_scene

Phantom = tuple[Findings, Volume, LabelMap, LabelMap]


def path_points(path: str) -> NDArray[np.float64]:
    return np.array(re.findall(r"[-\d.]+", path), dtype=float).reshape(-1, 2)


def pixels(data_uri: str) -> NDArray[np.uint8]:
    head, _, body = data_uri.partition(",")
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))).convert("L"))


def overlap(one: Word, other: Word) -> bool:
    a, b = one.box(), other.box()
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def test_the_scale_bar_has_the_length_it_states() -> None:
    cut = Cut.around(View.AXIAL, (0.0, 0.0, 0.0), field_mm=90, pixel_mm=0.375)
    line, word = scale_bar(cut, 9.0)
    assert word.text == "20 mm"
    assert (line.end[0] - line.start[0]) * 0.375 == pytest.approx(20)
    assert 0 < line.start[0] < line.end[0] < cut.shape[1]
    assert 0 < line.start[1] < cut.shape[0]


def test_outlines_measure_what_the_lesion_measures(column: Phantom) -> None:
    # 10 × 8 voxels of 2 mm in plane and 5 of 2.5 mm: the half-way contour runs along the voxel edges.
    scene = make_scene(*column)
    for figure, (width_mm, height_mm) in zip(
        lesion_figures(scene, scene.shapes[0]), ((20, 16), (16, 12.5), (20, 12.5)), strict=True
    ):
        pixel_mm = 70 / figure.width
        (outline,) = (mark for mark in figure.marks if isinstance(mark, Outline))
        size_mm = np.ptp(path_points(outline.path), axis=0) * pixel_mm
        assert size_mm == pytest.approx([width_mm, height_mm], abs=0.1)
        assert outline.style == STYLES[LesionType.LYTIC]


def test_the_long_axis_is_drawn_where_it_was_measured(column: Phantom) -> None:
    scene = make_scene(*column)
    axial, sagittal, coronal = lesion_figures(scene, scene.shapes[0])
    (line,) = (mark for mark in axial.marks if isinstance(mark, Line) and mark.role == "axis")
    # 20 mm across the centre of a field of 70 mm in 240 pixels.
    assert line.start == pytest.approx((120 - 10 * 240 / 70, 120), abs=0.06)
    assert line.end == pytest.approx((120 + 10 * 240 / 70, 120), abs=0.06)
    assert not any(isinstance(m, Line) and m.role == "axis" for m in (*sagittal.marks, *coronal.marks))
    assert axial.caption == "Axial, z = −40.0 mm"
    assert sagittal.alt == "Lesion 1, lytic, L3 vertebral body: sagittal, x = 0.0 mm"


def test_pictures_hold_the_values_of_the_scan_without_loss(column: Phantom) -> None:
    scene = make_scene(*column)
    axial = pixels(lesion_figures(scene, scene.shapes[0])[0].data_uri)
    # Bone window −300 … 900 HU: lesion −20 HU, bone 400 HU, soft tissue 40 HU.
    assert axial[120, 120] == round(280 / 1200 * 255)
    assert axial[120, 120 + 51] == round(700 / 1200 * 255)  # 15 mm to the patient's left, inside the body
    assert axial[120 - 79, 120] == round(340 / 1200 * 255)  # 23 mm in front of the centre


def test_a_large_lesion_widens_its_field() -> None:
    assert [field_of_view_mm(mm) for mm in (5.0, 23.4, 28.0, 60.0, 90.0)] == [70.0, 80.0, 90.0, 100.0, 110.0]


def test_the_overview_follows_the_leaning_column(column: Phantom) -> None:
    scene = make_scene(*column)
    cut, _ = overview_cuts(scene)
    bones = sample_nearest(scene.bones.array, scene.bones.grid, cut)
    for level in scene.levels:
        x, y = cut.to_column_row(level.centre_xyz_mm)
        assert bones[round(y), round(x)] == scene.bones.labels[level.name]
        assert abs(cut.distance_mm(level.centre_xyz_mm)) < 1e-9


def test_both_overviews_have_one_height_and_lie_within_the_scan(column: Phantom) -> None:
    scene = make_scene(*column)
    sagittal, coronal = overview_figures(scene)
    assert sagittal.height == coronal.height
    assert sagittal.height * 0.6 <= scene.limits_mm[1, 2] - scene.limits_mm[0, 2] + 0.6
    assert sagittal.caption == "Mid-sagittal, following the column"
    assert "levels T12 to L3" in coronal.alt
    assert "lesion 2 sclerotic, L1 vertebral body" in coronal.alt


def test_labels_lie_beside_the_bone_at_the_height_of_their_level(column: Phantom) -> None:
    scene = make_scene(*column)
    for cut, figure in zip(overview_cuts(scene), overview_figures(scene), strict=True):
        bones = sample_nearest(scene.bones.array, scene.bones.grid, cut) > 0
        words = [mark for mark in figure.marks if isinstance(mark, Word)]
        named = [word for word in words if word.role == "level"]
        assert [word.text for word in named] == ["T12", "L1", "L2", "L3"]
        for word, level in zip(named, scene.levels, strict=True):
            left, top, right, bottom = (round(side) for side in word.box())
            assert not bones[top:bottom, left:right].any()
            x, y = cut.to_column_row(level.centre_xyz_mm)
            assert word.at[0] < x
            assert abs(word.at[1] - y) < 8 / cut.pixel_mm
        for i, word in enumerate(words):
            assert not any(overlap(word, other) for other in words[:i]), word.text


def test_a_lesion_beside_the_plane_has_a_diamond_and_its_distance(column: Phantom) -> None:
    # Lesion 2 reaches from 12 to 20 mm to the left of the middle of L1 (x = 20); both lesions lie at y = 0.
    sagittal, coronal = overview_figures(make_scene(*column))
    texts = [mark.text for mark in sagittal.marks if isinstance(mark, Word) and mark.role == "lesion"]
    assert texts == ["1", "2 · 16 mm L"]
    assert sum(isinstance(mark, Diamond) for mark in sagittal.marks) == 1
    texts = [mark.text for mark in coronal.marks if isinstance(mark, Word) and mark.role == "lesion"]
    assert texts == ["1", "2"]
    styles = [mark.style for mark in coronal.marks if isinstance(mark, Outline)]
    assert styles == [STYLES[LesionType.LYTIC], STYLES[LesionType.SCLEROTIC]]


def test_types_differ_in_colour_and_in_line() -> None:
    assert set(STYLES) == set(LesionType)
    assert len({style.colour for style in STYLES.values()}) == len({style.dash for style in STYLES.values()}) == 4


def test_an_outline_exists_only_where_the_lesion_is() -> None:
    style = STYLES[LesionType.MIXED]
    assert outline_of(np.zeros((5, 5), np.float32), style) is None
    assert outline_of(np.zeros((0, 5), np.float32), style) is None
    whole = outline_of(np.ones((4, 6), np.float32), style)
    assert whole is not None
    assert np.ptp(path_points(whole.path), axis=0) == pytest.approx([6, 4], abs=0.1)


def test_a_label_without_a_near_free_place_is_left_out() -> None:
    taken = np.ones((40, 600), bool)
    taken[:, :50] = False
    space = FreeSpace(taken, 10.0)
    assert space.label("L1", (590.0, 20.0), to_left=True, role="level", colour="#fff") == ()
    near = space.label("L1", (60.0, 20.0), to_left=True, role="level", colour="#fff")
    assert [type(mark) for mark in near] == [Word]
    line, word = space.label("L2", (60.0, 20.0), to_left=True, role="level", colour="#fff")
    assert isinstance(line, Line)
    assert isinstance(word, Word)
    assert line.end == (60.0, 20.0)
    assert FreeSpace(np.zeros((5, 5), bool), 10.0).label("L1", (3, 3), to_left=True, role="level", colour="") == ()
