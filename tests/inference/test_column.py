import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.inference.column import Curve


def arc(radius_mm: float, angles_deg: NDArray[np.float64], plane: str) -> NDArray[np.float64]:
    """Centres on a circle, head first; at angle 0 the column runs straight down."""
    angle = np.deg2rad(angles_deg)
    across, down = radius_mm * (1 - np.cos(angle)), -radius_mm * np.sin(angle)
    zero = np.zeros_like(angle)
    return np.stack([across, zero, down] if plane == "coronal" else [zero, across, down], axis=1)


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
def test_places_follow_the_bend(plane: str) -> None:
    angles = np.linspace(-50, 50, 14)
    centres = arc(180.0, angles, plane)
    order = np.random.default_rng(0).permutation(len(centres))
    curve = Curve.through(centres[order], np.ones(len(centres)))
    place, distance = curve.project(centres)
    assert (np.diff(place) > 0).all()
    assert np.ptp(place) == pytest.approx(180 * np.deg2rad(100), rel=0.05)
    assert distance.max() < 6
    true_up = np.stack([-np.sin(np.deg2rad(angles)), np.zeros(14), np.cos(np.deg2rad(angles))], axis=1)
    if plane == "sagittal":
        true_up = true_up[:, [1, 0, 2]]
    cosine = np.einsum("nd,nd->n", curve.up_at(place), true_up)
    off_deg = np.rad2deg(np.arccos(cosine))
    assert off_deg[1:-1].max() < 10
    assert off_deg.max() < 30


def test_a_straight_column_is_measured_exactly() -> None:
    centres = np.array([[3.0, -7.0, z] for z in (100.0, 70.0, 35.0, 0.0)])
    curve = Curve.through(centres, np.ones(4))
    place, distance = curve.project(centres)
    np.testing.assert_allclose(np.diff(place), [30, 35, 35], atol=1e-6)
    np.testing.assert_allclose(distance, 0, atol=1e-6)
    off, how_far = curve.project(np.array([[3.0, 5.0, 50.0]]))
    np.testing.assert_allclose(off - place[0], 50, atol=1e-6)
    np.testing.assert_allclose(how_far, 12, atol=1e-6)


def test_one_centre_makes_a_column_straight_down() -> None:
    curve = Curve.through(np.array([[1.0, 2.0, 3.0]]), np.array([5.0]))
    place, distance = curve.project(np.array([[1.0, 2.0, 13.0], [1.0, 2.0, -7.0], [4.0, 6.0, 3.0]]))
    np.testing.assert_allclose(np.diff(place), [20, -10], atol=1e-6)
    np.testing.assert_allclose(distance, [0, 0, 5], atol=1e-6)
    np.testing.assert_allclose(curve.up_at(place), [[0, 0, 1]] * 3, atol=1e-9)


def test_two_halves_of_one_body_do_not_turn_the_column() -> None:
    curve = Curve.through(np.array([[-12.0, 0.0, 1.0], [12.0, 0.0, -1.0]]), np.ones(2))
    assert curve.up_at(np.array([40.0]))[0, 2] > 0.9


def test_a_stray_centre_hardly_bends_the_column() -> None:
    centres = np.array([[0.0, 0.0, -30.0 * n] for n in range(8)])
    with_stray = np.vstack([centres, [90.0, -60.0, -100.0]])
    curve = Curve.through(with_stray, np.ones(9))
    distance = curve.project(with_stray)[1]
    assert distance[:8].max() < 8
    assert distance[8] > 90
