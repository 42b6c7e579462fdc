from pathlib import Path

import numpy as np
import pytest

from osteomet.core.grid import Grid

SHAPE = (6, 5, 4)


def _oblique() -> Grid:
    """Anisotropic grid turned by 0.3 rad about z and then 0.2 rad about x."""
    c, s = np.cos(0.3), np.sin(0.3)
    about_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    c, s = np.cos(0.2), np.sin(0.2)
    about_x = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return Grid.from_spacing(SHAPE, (0.7, 0.9, 2.5), origin_mm=(-123.4, 55.5, -801.25), direction=about_x @ about_z)


GRIDS = {
    "even": Grid.from_spacing((4, 6, 8), (1, 1, 1)),
    "anisotropic": Grid.from_spacing(SHAPE, (0.488281, 0.488281, 3.0), origin_mm=(-235.2, -226.8, -128.69)),
    "oblique": _oblique(),
    "negated": Grid.from_spacing(SHAPE, (0.8, 0.9, 2), origin_mm=(100, -20, 30), direction=np.diag([-1, 1, -1])),
    "left-handed": Grid.from_spacing(SHAPE, (0.8, 0.9, 2), origin_mm=(100, -20, 30), direction=np.diag([1, 1, -1])),
    "sagittal": Grid.from_spacing(
        SHAPE, (0.6, 0.6, 4), origin_mm=(30, -100, 200), direction=[[0, 0, 1], [1, 0, 0], [0, -1, 0]]
    ),
}


@pytest.fixture(params=GRIDS, ids=list(GRIDS))
def grid(request: pytest.FixtureRequest) -> Grid:
    return GRIDS[request.param]


@pytest.fixture
def real_data() -> Path:
    """Folder of real scans beside the checkout; not part of the project."""
    folder = Path(__file__).parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real scans at {folder}")
    return folder
