"""Marks against lesions on an oblique anisotropic grid: voxel counts by hand, and what lies outside the image."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.errors import GeometryError, InputError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap
from osteomet.evaluation.mark_matching import (
    LesionVoxels,
    MarkRule,
    lesion_voxels,
    match_instances,
    match_reading,
)
from osteomet.evaluation.marks import UNAIDED, BoxMark, Mark, MaskMark, PointMark, Reading
from osteomet.io.formats import write_labels

# Turned by the 3-4-5 triangle about z; voxels of 2 × 3 × 4 mm.
TURN = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
GRID = Grid.from_spacing((10, 8, 6), (2.0, 3.0, 4.0), origin_mm=(50.0, -20.0, 7.0), direction=TURN)
AXES = tuple((float(c[0]), float(c[1]), float(c[2])) for c in TURN.T)


def reference() -> NDArray[np.uint8]:
    """Lesion 0 (label 3): 2 × 3 × 2 = 12 voxels. Lesion 1 (label 5): 3 voxels in a row along j."""
    array = np.zeros(GRID.shape, dtype=np.uint8)
    array[1:3, 1:4, 1:3] = 3
    array[6, 2:5, 1] = 5
    return array


@pytest.fixture(params=["C", "F"])
def lesions(request: pytest.FixtureRequest) -> LesionVoxels:
    array = np.array(reference(), order=request.param)
    return lesion_voxels(LabelMap(array, GRID, {"late": 5, "early": 3, "absent": 4}))


def at(*ijk: float) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in GRID.to_xyz_mm(ijk))
    return x, y, z


def box(centre: tuple[float, float, float], size: tuple[float, float, float]) -> BoxMark:
    """Box along the grid, given in voxels."""
    a, b, c = (n * s for n, s in zip(size, GRID.spacing_mm, strict=True))
    return BoxMark(at(*centre), (a, b, c), axes=AXES)  # type: ignore[arg-type]


def hits(lesions: LesionVoxels, mark: Mark, rule: MarkRule | None = None) -> tuple[int, ...]:
    return match_reading(Reading("R1", UNAIDED, "c1", (mark,)), lesions, rule or MarkRule()).hits[0]


def test_voxels_are_listed_once(lesions: LesionVoxels) -> None:
    assert (lesions.n_lesions, np.bincount(lesions.lesion).tolist()) == (2, [12, 3])
    assert lesions.ijk[lesions.lesion == 1].tolist() == [[6, 2, 1], [6, 3, 1], [6, 4, 1]]


def test_a_point_hits_the_voxel_that_holds_it(lesions: LesionVoxels) -> None:
    assert hits(lesions, PointMark(at(2.49, 3.49, 2.49))) == (0,)
    assert hits(lesions, PointMark(at(2.51, 3, 2))) == ()
    assert hits(lesions, PointMark(at(6, 4.4, 1))) == (1,)


def test_a_point_hits_the_nearest_within_the_tolerance(lesions: LesionVoxels) -> None:
    beside = PointMark(at(3.2, 2, 1))  # 1.2 voxels of 2 mm from lesion 0, 2.8 from lesion 1
    assert hits(lesions, beside, MarkRule(tolerance_mm=2.3)) == ()
    assert hits(lesions, beside, MarkRule(tolerance_mm=2.5)) == (0,)
    assert hits(lesions, beside, MarkRule(tolerance_mm=100)) == (0,)
    inside = PointMark(at(6, 2, 1))
    assert hits(lesions, inside, MarkRule(tolerance_mm=100)) == (1,)


@pytest.mark.parametrize(("minimum", "expected"), [(1, (0, 1)), (3, (0, 1)), (4, (0,)), (12, (0,)), (13, ())])
def test_a_box_hits_what_it_holds_enough_of(lesions: LesionVoxels, minimum: int, expected: tuple[int, ...]) -> None:
    assert hits(lesions, box((4, 2.5, 1.5), (8, 6, 4)), MarkRule(minimum_voxels=minimum)) == expected


def test_box_faces_decide_by_voxel_centres(lesions: LesionVoxels) -> None:
    """A box 1.9 voxels long over centres 1 … 2.9 holds two layers in i, one in j, one in k."""
    thin = box((1.95, 1, 1), (1.9, 0.5, 0.5))
    assert hits(lesions, thin, MarkRule(minimum_voxels=2)) == (0,)
    assert hits(lesions, thin, MarkRule(minimum_voxels=3)) == ()


def test_one_lesion_is_the_one_held_most(lesions: LesionVoxels) -> None:
    large = box((4, 2.5, 1.5), (8, 6, 4))
    assert hits(lesions, large, MarkRule(claims="one lesion")) == (0,)
    most_of_one = box((4, 3, 1), (4.1, 1.5, 0.5))  # one voxel of lesion 0 and one of lesion 1: the first
    assert hits(lesions, most_of_one) == (0, 1)
    assert hits(lesions, most_of_one, MarkRule(claims="one lesion")) == (0,)


def test_a_rectangle_counts_as_one_slice(lesions: LesionVoxels) -> None:
    flat = box((1.5, 2, 1), (2, 3, 0))
    assert hits(lesions, flat, MarkRule(minimum_voxels=6)) == (0,)
    assert hits(lesions, flat, MarkRule(minimum_voxels=7)) == ()


def test_a_box_along_the_patient_axes(lesions: LesionVoxels) -> None:
    """A cube of side 1 mm about one voxel centre, not along the grid, holds that voxel only."""
    cube = BoxMark(at(1, 1, 1), (1.0, 1.0, 1.0))
    assert hits(lesions, cube) == (0,)
    assert hits(lesions, BoxMark(at(4, 6, 4), (1.0, 1.0, 1.0))) == ()


def test_masks_from_a_file(tmp_path: Path, lesions: LesionVoxels) -> None:
    array = np.zeros(GRID.shape, dtype=np.uint8)
    array[0:2, 1:4, 1] = 1  # 3 voxels of lesion 0
    array[6, 0:3, 1] = 2  # 1 voxel of lesion 1
    array[9, 7, 5] = 7
    path = tmp_path / "marks.nii.gz"
    write_labels(LabelMap(array, GRID, {"a": 1, "b": 2, "c": 7}), path)
    reading = Reading("R1", UNAIDED, "c1", tuple(MaskMark(path, label, label / 10) for label in (1, 2, 7)))
    matched = match_reading(reading, lesions, MarkRule())
    assert matched.hits == ((0,), (1,), ())
    assert matched.likelihood == (0.1, 0.2, 0.7)
    assert match_reading(reading, lesions, MarkRule(minimum_voxels=2)).hits == ((0,), (), ())
    with pytest.raises(
        InputError, match=r"mark 1 of reader “R1” \(unaided\) on case “c1” has no voxel; got label 4 of"
    ):
        hits(lesions, MaskMark(path, 4))


def test_a_mask_elsewhere_is_refused(tmp_path: Path, lesions: LesionVoxels) -> None:
    other = Grid.from_spacing(GRID.shape, GRID.spacing_mm)
    path = tmp_path / "marks.nii.gz"
    write_labels(LabelMap(reference(), other, {"a": 3, "b": 5}), path)
    with pytest.raises(
        GeometryError, match=r"the mask of reader “R1” \(unaided\) on case “c1” and the reference differ"
    ):
        hits(lesions, MaskMark(path, 3))


@pytest.mark.parametrize(
    "mark",
    [PointMark(at(-0.52, 0, 0)), PointMark(at(0, 0, 5.52)), BoxMark(at(20, 0, 0), (99.0, 99.0, 99.0))],
    ids=["before", "behind", "box"],
)
def test_marks_outside_the_image_name_reader_and_case(lesions: LesionVoxels, mark: Mark) -> None:
    message = r"mark 2 of reader “R1” \(aided\) on case “c9” lies outside the image; expected a place between .* LPS mm"
    with pytest.raises(InputError, match=message):
        match_reading(Reading("R1", "aided", "c9", (PointMark(at(0, 0, 0)), mark)), lesions, MarkRule())


def test_the_rim_of_the_image_is_inside(lesions: LesionVoxels) -> None:
    for corner in (at(-0.5, -0.5, -0.5), at(9.5, 7.5, 5.5)):
        assert hits(lesions, PointMark(corner)) == ()


def test_no_lesion_and_no_mark() -> None:
    empty = lesion_voxels(LabelMap(np.zeros(GRID.shape, dtype=np.uint8), GRID, {"lesion": 1}))
    assert empty.n_lesions == 0
    marks = (PointMark(at(1, 1, 1)), box((1, 1, 1), (3, 3, 3)))
    rule = MarkRule(tolerance_mm=50)
    assert match_reading(Reading("R1", UNAIDED, "c1", marks), empty, rule).hits == ((), ())
    assert match_reading(Reading("R1", UNAIDED, "c1", ()), empty, rule).hits == ()


def test_instances_of_a_model(lesions: LesionVoxels) -> None:
    array = np.zeros(GRID.shape, dtype=np.uint16)
    array[2:7, 2:4, 1] = 300  # 2 voxels of lesion 0 and 2 of lesion 1
    array[0, 0, 0] = 7
    instances = LabelMap(array, GRID, {"x": 7, "y": 300})
    matched = match_instances(instances, lesions, MarkRule(), case="c1", likelihood={300: 0.9})
    assert (matched.reader, matched.condition, matched.hits) == ("model", "model", ((), (0, 1)))
    assert matched.likelihood == (None, 0.9)
    assert match_instances(instances, lesions, MarkRule(claims="one lesion"), case="c1", likelihood={}).hits[1] == (0,)
    other = LabelMap(array, Grid.from_spacing(GRID.shape, (1.0, 1.0, 1.0)), {"x": 7, "y": 300})
    with pytest.raises(GeometryError, match="prediction of case “c1” and reference differ in geometry"):
        match_instances(other, lesions, MarkRule(), case="c1", likelihood={})


def test_rules_that_cannot_be() -> None:
    with pytest.raises(InputError, match="a mark must hold at least one voxel, at a distance that is not negative"):
        MarkRule(minimum_voxels=0)
    with pytest.raises(InputError, match="a mark must hold at least one voxel"):
        MarkRule(tolerance_mm=-1.0)
