"""Fibres of muscle: upright, but lengthwise in axial pictures of the buttocks."""

import numpy as np
import pytest

from osteomet.phantom.geometry.fibres import along_fibres

SACRUM, FEMUR = np.array([40.0, 95.0, 40.0]), np.array([111.9, 50.0, -13.0])
"""Two points of the left buttock, one the way of the fibres (0.719, -0.450, -0.530) from the other: 100 mm."""


def test_a_bundle_of_the_buttock_keeps_its_place_across_and_moves_along() -> None:
    first, last = np.array(along_fibres(*SACRUM)), np.array(along_fibres(*FEMUR))
    np.testing.assert_allclose(last[:2] - first[:2], 0, atol=0.15)
    assert last[2] - first[2] == pytest.approx(100, abs=0.2)


def test_both_sides_run_alike_but_are_no_mirror_images() -> None:
    mirror = np.array([-1.0, 1.0, 1.0])
    left, right = np.array(along_fibres(*SACRUM)), np.array(along_fibres(*(SACRUM * mirror)))
    np.testing.assert_allclose(left - right, [500, 0, 0], atol=1e-9)


@pytest.mark.parametrize("point", [(60.0, 10.0, 20.0), (60.0, 80.0, 120.0), (5.0, 80.0, 20.0)])
def test_muscle_elsewhere_runs_upright(point: tuple[float, float, float]) -> None:
    assert along_fibres(*point) == point
