"""Perturbed masks: counts by hand, and what never happens."""

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.radiomics.perturb import move_surface, perturb_mask


def cube(edge: int = 5, side: int = 13) -> NDArray[np.bool_]:
    mask = np.zeros((side,) * 3, dtype=bool)
    start = (side - edge) // 2
    mask[start : start + edge, start : start + edge, start : start + edge] = True
    return mask


@pytest.mark.parametrize(
    ("growth_mm", "n_voxels"),
    [
        (0.0, 125),
        (0.75, 125 + 6 * 25),  # the six faces; an edge is √2 − ½ away
        (0.95, 125 + 6 * 25 + 12 * 5),  # and the twelve edges; a corner is √3 − ½ away
        (-0.75, 27),
    ],
)
def test_a_cube_grows_and_shrinks_by_its_faces(growth_mm: float, n_voxels: int) -> None:
    moved = move_surface(cube(), (1.0, 1.0, 1.0), shift_voxels=(0, 0, 0), growth_mm=growth_mm)
    assert moved.sum() == n_voxels


def test_a_surface_moves_by_millimetres_whatever_the_spacing() -> None:
    # Planes of 3 mm lie too far away for a growth of 0.75 mm.
    moved = move_surface(cube(), (1.0, 1.0, 3.0), shift_voxels=(0, 0, 0), growth_mm=0.75)
    assert moved.sum() == 125 + 4 * 25


def test_a_shift_by_whole_voxels_is_a_roll() -> None:
    moved = move_surface(cube(), (1.0, 1.0, 2.0), shift_voxels=(2, -1, 0), growth_mm=0.0)
    assert (moved == np.roll(cube(), (2, -1), axis=(0, 1))).all()


@pytest.mark.parametrize("seed", range(10))
def test_changes_are_small_and_a_region_never_vanishes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    moved = perturb_mask(cube(), (1.0, 1.0, 1.0), rng=rng)
    assert moved[5:8, 5:8, 5:8].all()
    assert not np.delete(moved.ravel(), np.flatnonzero(cube(9).ravel())).any()
    assert perturb_mask(cube(1), (1.0, 1.0, 1.0), rng=rng).any()


def test_changes_differ_and_follow_from_the_generator() -> None:
    first, again, other = (perturb_mask(cube(), (1, 1, 1), rng=np.random.default_rng(s)) for s in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_a_region_at_the_edge_of_the_image_goes_on_beyond() -> None:
    slab = np.zeros((6, 6, 6), dtype=bool)
    slab[:3] = True
    moved = move_surface(slab, (1, 1, 1), shift_voxels=(1, 0, 0), growth_mm=0)
    assert moved[:4].all()
    assert not moved[4:].any()
