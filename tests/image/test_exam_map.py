"""The map of an exam: steps in their order, and places that lead back to the patient."""

from dataclasses import replace

import numpy as np
import pytest
from tests.image.spine_blocks import block_spine, oblique, upright

from osteomet.core.errors import GeometryError, InputError
from osteomet.core.exam_map import BiasCorrection, Denoise, MapStep, Registration, Scale, Smooth, Straighten, wrong_step
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.image import exam_map
from osteomet.image.exam_map import make_exam_map
from osteomet.image.register import Registered

GRID = Grid.from_spacing((16, 60, 110), (4.0, 2.0, 2.0), origin_mm=(-32.0, -65.0, -200.0), direction=oblique(4, 0))
MIDDLES = upright(1.0, 2.0) + np.array([0.0, 6.0, 0.0]) * np.sin(np.arange(6) / 2)[:, None]
STRAIGHTEN = Straighten("straighten", 90, 44, 2.0, 50.0, 3, 8.0)
STEPS: tuple[MapStep, ...] = (STRAIGHTEN, Smooth("smooth", 2.0), Scale("scale", "z-score"))


@pytest.fixture(scope="module")
def bones() -> LabelMap:
    return block_spine(GRID, MIDDLES)


def picture(bones: LabelMap, spot_xyz_mm: tuple[float, float, float], grid: Grid = GRID) -> Volume:
    """Bone of 300 in 100 with a spot of 900, 7 mm in radius."""
    xyz = grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    values = np.where(bones.array > 0, 300.0, 100.0)
    values[np.linalg.norm(xyz - spot_xyz_mm, axis=-1) < 7] = 900.0
    return Volume(values.astype(np.float32), grid, Modality.MR, Unit.ARBITRARY)


def test_a_spot_is_where_its_place_says_and_leads_back(bones: LabelMap) -> None:
    spot = (8.0, -22.0, -70.0)
    exam = make_exam_map([picture(bones, spot), picture(bones, spot)], bones, STEPS)
    assert exam.array.shape == (2 * 3, 90, 44)
    place = exam.to_place(spot)
    plane, row, column = np.unravel_index(int(exam.array[:3].argmax()), (3, 90, 44))
    assert plane == 2
    assert abs(np.array([row, column]) - place[1:]).max() <= 1.5
    np.testing.assert_allclose(exam.to_xyz_mm(place), spot, atol=1e-5)
    assert exam.canal.nearest_level(np.array(spot)) == "L1"


def test_places_of_the_whole_map_come_back_within_half_a_millimetre(bones: LabelMap) -> None:
    exam = make_exam_map([picture(bones, (0, -20, -70))], bones, STEPS)
    places = np.stack(np.meshgrid([0.0, 1.0, 2.0], np.arange(0.0, 90, 6), np.arange(0.0, 44, 4)), axis=-1)
    back = exam.to_place(exam.to_xyz_mm(places)) - places
    assert np.abs(back * [8.0, 2.0, 2.0]).max() < 0.5


def test_the_head_is_at_the_top_and_the_front_to_the_left(bones: LabelMap) -> None:
    exam = make_exam_map([picture(bones, (0, -20, -70))], bones, STEPS)
    top, bottom = exam.to_xyz_mm([(1, 0, 20), (1, 89, 20)])
    front, back = exam.to_xyz_mm([(1, 45, 0), (1, 45, 43)])
    right, left = exam.to_xyz_mm([(0, 45, 20), (2, 45, 20)])
    assert top[2] > bottom[2]
    assert front[1] < back[1]
    assert right[0] < left[0]


def test_each_sequence_is_scaled_over_what_it_shows(bones: LabelMap) -> None:
    first = picture(bones, (0, -20, -70))
    brighter = first.with_array((7 * first.array + 50).astype(np.float32))
    exam = make_exam_map([first, brighter], bones, STEPS)
    np.testing.assert_allclose(exam.array[:3], exam.array[3:], atol=1e-4)
    shown = exam.array[:3][exam.array[:3] != 0]
    assert abs(shown.mean()) < 1e-3
    assert shown.std() == pytest.approx(1, abs=1e-3)


def test_a_displaced_sequence_is_registered(bones: LabelMap) -> None:
    first = picture(bones, (8.0, -22.0, -70.0))
    affine = GRID.affine.copy()
    affine[:3, 3] += [0.0, 4.0, 5.0]
    moved = replace(first, grid=Grid(GRID.shape, affine))
    steps = (Registration("register", "rigid", 20.0), *STEPS)
    exam = make_exam_map([first, moved], bones, steps)
    as_it_was = make_exam_map([first, moved], bones, (Registration("register", "none", 20.0), *STEPS))
    off, on = (np.abs(x.array[3:] - x.array[:3]).mean() for x in (as_it_was, exam))
    assert on < off / 2


def test_a_registration_that_runs_away_is_not_followed(bones: LabelMap, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that shifts by 30 mm where 20 are allowed: the map is that without registration, and a note says why."""
    first = picture(bones, (8.0, -22.0, -70.0))
    affine = GRID.affine.copy()
    affine[:3, 3] += [0.0, 30.0, 0.0]
    lost = Registered(replace(first, grid=Grid(GRID.shape, affine)), np.eye(4), 30.0, 0.0)
    monkeypatch.setattr(exam_map, "register_rigid", lambda *_: lost)
    exam = make_exam_map([first, first], bones, (Registration("register", "rigid", 20.0), *STEPS))
    np.testing.assert_array_equal(exam.array[:3], exam.array[3:])
    assert len(exam.notes) == 1
    assert "registration of sequence 2 failed: it would move a corner by 30 mm" in exam.notes[0]
    followed = make_exam_map([first, first], bones, (Registration("register", "rigid", 31.0), *STEPS))
    assert followed.notes == ()
    assert np.abs(followed.array[:3] - followed.array[3:]).max() > 1


def test_all_steps_together_change_the_values_and_not_the_place(bones: LabelMap) -> None:
    early = (Denoise("denoise", 2, 1.0), BiasCorrection("bias correction", (5,), 2))
    spot = (8.0, -22.0, -70.0)
    exam = make_exam_map([picture(bones, spot)], bones, (*early, *STEPS))
    plane, row, column = np.unravel_index(int(exam.array.argmax()), exam.array.shape)
    assert np.abs(np.array([plane, row, column]) - exam.to_place(spot))[1:].max() <= 1.5


def test_a_sequence_of_another_place_is_refused(bones: LabelMap) -> None:
    first = picture(bones, (0, -20, -70))
    far = replace(first, grid=Grid.from_spacing(GRID.shape, GRID.spacing_mm, origin_mm=(400.0, 0.0, 0.0)))
    with pytest.raises(InputError, match="sequence 2 shows nothing of the spine"):
        make_exam_map([first, far], bones, STEPS)
    with pytest.raises(GeometryError, match="show different parts of the patient"):
        make_exam_map([first, far], bones, (Registration("register", "rigid", 20.0), *STEPS))
    with pytest.raises(GeometryError, match="the image and the bone map show different places"):
        make_exam_map([far], bones, STEPS)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((), (0, "one step “straighten”")),
        ((STRAIGHTEN, STRAIGHTEN), (1, "one step “straighten”")),
        ((STRAIGHTEN, Registration("register", "rigid", 20.0)), (1, "“register” before “straighten”")),
        ((Smooth("smooth", 1.0), STRAIGHTEN), (0, "“smooth” after “straighten”")),
        ((Denoise("denoise", 1, 1.0), *STEPS), None),
    ],
)
def test_the_order_of_the_steps(steps: tuple[MapStep, ...], expected: tuple[int, str] | None) -> None:
    assert wrong_step(steps) == expected
