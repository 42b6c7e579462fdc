"""The band in front of the column: what it takes, where technicians put it, and which sequences have one."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import SequenceRole
from osteomet.phantom.mr.acquisition import image_mr
from osteomet.phantom.mr.saturation import SaturationBand, sample_band
from osteomet.phantom.mr.scanner import Composition, MrScanner
from osteomet.phantom.mr.sequences import Method, Sequence
from osteomet.phantom.mr.tissues import Tissue, tissue_table
from osteomet.phantom.skeleton.anatomy import Column, sample_column

BAND = SaturationBand(np.array([0.0, -50.0, 0.0]), np.array([0.0, -1.0, 0.0]), half_mm=20.0, left=0.1)


@pytest.fixture(scope="module")
def column() -> Column:
    return sample_column(np.random.default_rng(4))


@pytest.mark.parametrize(("y_mm", "share"), [(-50, 0.1), (-38, 0.1), (-30, 0.55), (-70, 0.55), (-23, 1), (0, 1)])
def test_the_middle_is_saturated_and_the_edge_by_half(y_mm: float, share: float) -> None:
    """The edge slopes over 14 mm: from 13 to 27 mm off the middle plane."""
    grid = Grid.from_spacing((2, 1, 3), (5.0, 1.0, 7.0), origin_mm=(-3.0, float(y_mm), 40.0))
    np.testing.assert_allclose(BAND.share(grid), share, atol=1e-6)


def test_an_oblique_grid_sees_the_same_band_and_a_crop_a_part_of_it() -> None:
    turn = Rotation.from_euler("zx", [12, 8], degrees=True).as_matrix()
    grid = Grid.from_spacing((20, 70, 12), (2.0, 1.5, 3.0), origin_mm=(-20, -110, 5), direction=turn)
    share = BAND.share(grid)
    y_mm = grid.to_xyz_mm(np.argwhere(np.ones(grid.shape)))[:, 1].reshape(grid.shape)
    depth = np.clip(0.5 + (20 - np.abs(y_mm + 50)) / 14, 0, 1)
    np.testing.assert_allclose(share, 1 - 0.9 * depth, atol=1e-4)
    np.testing.assert_allclose(BAND.share(grid.crop((3, 20, 2), (8, 30, 5))), share[3:11, 20:50, 2:7], atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_the_band_lies_before_every_body_of_its_stack(column: Column, seed: int) -> None:
    heights = [column.nearest(name).centre_mm[2] for name in ("T10", "L5")]
    low, high = min(heights) - 10, max(heights) + 10
    band = sample_band(np.random.default_rng(seed), column, low, high)
    assert band is not None
    assert np.linalg.norm(band.normal) == pytest.approx(1)
    fronts = np.array([v.at(0, -v.depth_mm / 2, 0) for v in column.vertebrae if low < v.centre_mm[2] < high])
    ahead = (fronts - band.middle_mm) @ band.normal
    assert -band.half_mm - 17 - 1e-9 <= ahead.max() <= -band.half_mm - 9 + 1e-9


def test_no_vertebra_no_band(column: Column) -> None:
    assert sample_band(np.random.default_rng(0), column, -2000.0, -1900.0) is None


@pytest.mark.parametrize(("method", "left"), [(Method.FAST_SPIN_ECHO, 0.1), (Method.GRADIENT_ECHO, 1.0)])
def test_spin_echoes_are_saturated_and_gradient_echoes_are_not(method: Method, left: float) -> None:
    grid = Grid.from_spacing((4, 40, 4), (2.0, 2.0, 2.0), origin_mm=(0.0, -70.0, 0.0))
    index, none = np.full(grid.shape, Tissue.MUSCLE, np.uint8), np.zeros(grid.shape, np.float32)
    composition = Composition(grid, index, index, none, none)
    sequence = Sequence(SequenceRole.T1, method, tr_ms=500, te_ms=10)
    scanner = replace(MrScanner(tissue_table(1.5), level=5000), band=BAND)
    image = image_mr(composition, sequence, scanner, np.random.default_rng(0)).array.astype(float)
    # Array index 10 lies at -50 mm, in the middle of the band, and 35 at 0 mm.
    assert image[:, 10].mean() / image[:, 35].mean() == pytest.approx(left, rel=0.01)
