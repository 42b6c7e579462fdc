"""Boxes with holes of known size."""

import numpy as np
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.inference.cavities import fill_cavities

GRID = Grid.from_spacing((30, 24, 28), (2.0, 2.5, 2.4))
L3, L4, HIP = (STRUCTURES[name].id for name in ("L3", "L4", "hip_left"))


def body_of_l3() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A box of 40 x 35 x 24 mm."""
    bones = np.zeros(GRID.shape, dtype=np.uint8)
    bones[5:25, 5:19, 9:19] = L3
    return bones, (bones > 0).astype(np.uint8)


def test_an_enclosed_cavity_becomes_bone_and_body() -> None:
    bones, parts = body_of_l3()
    intact = bones.copy()
    bones[8:20, 8:16, 11:17] = parts[8:20, 8:16, 11:17] = 0
    fill_cavities(bones, parts, GRID)
    np.testing.assert_array_equal(bones, intact)
    np.testing.assert_array_equal(parts, intact > 0)


def test_a_notch_narrower_than_the_ball_is_closed_and_a_wide_one_stays() -> None:
    """A slot of 8 mm is narrower than the ball of 10 mm; one of 24 mm is not."""
    for n_wide, is_closed in ((4, True), (12, False)):
        bones, parts = body_of_l3()
        slot = (slice(9, 9 + n_wide), slice(11, 19), slice(9, 19))
        bones[slot] = parts[slot] = 0
        fill_cavities(bones, parts, GRID)
        middle = bones[9 + n_wide // 2, 14, 14]
        assert middle == (L3 if is_closed else 0)


def test_the_disc_between_two_bodies_stays_open_and_other_bones_are_not_taken() -> None:
    bones, parts = body_of_l3()
    bones[5:25, 5:19, 2:6] = L4
    bones[5:25, 19:22, 9:19] = HIP
    parts[bones == L4] = 1
    before = bones.copy()
    fill_cavities(bones, parts, GRID)
    np.testing.assert_array_equal(bones, before)


def test_a_notch_of_another_bone_stays_but_its_cavity_is_filled() -> None:
    bones = np.zeros(GRID.shape, dtype=np.uint8)
    bones[5:25, 5:19, 9:19] = HIP
    bones[9:12, 14:19, 9:19] = 0
    bones[16:20, 8:11, 11:15] = 0
    parts = np.zeros_like(bones)
    fill_cavities(bones, parts, GRID)
    assert not bones[9:12, 14:19, 9:19].any()
    assert (bones[16:20, 8:11, 11:15] == HIP).all()
    assert not parts.any()
