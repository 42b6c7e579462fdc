from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import LabelMap
from osteomet.lesions.frame import Frame

CENTRE_MM = np.array([13.3, -72.1, 405.7])


def turned(degrees: float, axis: int) -> NDArray[np.float64]:
    """Rotation about one of the patient's axes."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = (n for n in range(3) if n != axis)
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = c
    matrix[first, second], matrix[second, first] = -s, s
    return matrix


def centred(extent_mm: float, spacing_mm: tuple[float, float, float], direction: ArrayLike) -> Grid:
    """Grid of an even number of voxels that fills about a cube round `CENTRE_MM`."""
    shape = [2 * round(extent_mm / s / 2) for s in spacing_mm]
    grid = Grid.from_spacing(shape, spacing_mm, direction=direction)
    origin = CENTRE_MM - grid.to_xyz_mm((np.array(shape) - 1) / 2)
    return Grid.from_spacing(shape, spacing_mm, origin_mm=origin.tolist(), direction=direction)


ORIENTATIONS = {
    "axial": ((0.8, 0.8, 1.2), np.eye(3)),
    "sagittal": ((0.8, 0.8, 1.2), np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]])),
    "coronal": ((0.9, 0.8, 1.1), np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])),
    "negated": ((0.8, 0.9, 1.2), np.diag([-1, -1, -1])),
    "oblique": ((0.8, 0.8, 1.2), turned(25, 0) @ turned(15, 2)),
    "isotropic": ((1.5, 1.5, 1.5), np.eye(3)),
}


@pytest.fixture(params=ORIENTATIONS, ids=list(ORIENTATIONS))
def grid(request: pytest.FixtureRequest) -> Grid:
    """Grids of about 48 mm round one point of the patient, in every orientation."""
    spacing_mm, direction = ORIENTATIONS[request.param]
    return centred(48.0, spacing_mm, direction)


@pytest.fixture(params=ORIENTATIONS, ids=list(ORIENTATIONS))
def vertebra_grid(request: pytest.FixtureRequest) -> Grid:
    """The same, coarser, large enough for a vertebra whose body lies 20 mm in front of the middle."""
    (a, b, c), direction = ORIENTATIONS[request.param]
    return centred(100.0, (1.25 * a, 1.25 * b, 1.25 * c), direction)


def solid_vertebra(local_mm: NDArray[np.float64], height_mm: NDArray[np.float64] | float) -> NDArray[np.uint8]:
    """A vertebra in its own frame: 1 in the body, 2 in the arch.

    Body 40 mm wide and 30 mm deep; canal 20 mm wide from 15 to 30 mm behind the centre; pedicles from 10 to 16 mm
    beside the middle; laminae, transverse processes to 34 mm, and a spinous process 6 mm wide.
    """
    left, back, up = np.abs(local_mm[..., 0]), local_mm[..., 1], np.abs(local_mm[..., 2])
    body = (left <= 20) & (np.abs(back) <= 15) & (up <= np.asarray(height_mm) / 2)
    pedicle = (left >= 10) & (left <= 16) & (back > 15) & (back < 30) & (up <= 5)
    lamina = (left <= 16) & (back >= 30) & (back <= 35) & (up <= 7)
    transverse = (left > 16) & (left <= 34) & (back >= 22) & (back <= 28) & (up <= 4)
    spinous = (left <= 3) & (back > 35) & (back <= 55) & (up <= 6)
    arch = pedicle | lamina | transverse | spinous
    return np.where(body, 1, np.where(arch, 2, 0)).astype(np.uint8)


SpineMaker = Callable[..., tuple[LabelMap, LabelMap]]


@pytest.fixture
def make_spine() -> SpineMaker:
    """Maker of bone and part maps with one vertebra for each name and frame, of heights given by name (24 mm)."""

    def make(
        grid: Grid, frames: list[tuple[str, Frame]], heights_mm: dict[int, float] | None = None
    ) -> tuple[LabelMap, LabelMap]:
        bones = np.zeros(grid.shape, dtype=np.uint8)
        parts = np.zeros(grid.shape, dtype=np.uint8)
        for n, (name, frame) in enumerate(frames):
            corners = frame.to_xyz_mm([(a, b, c) for a in (-36, 36) for b in (-17, 57) for c in (-14, 14)])
            ijk = grid.to_ijk(corners)
            start = np.clip(np.floor(ijk.min(axis=0)), 0, grid.shape).astype(int)
            stop = np.clip(np.ceil(ijk.max(axis=0)) + 1, 0, grid.shape).astype(int)
            block = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
            xyz = grid.to_xyz_mm(np.moveaxis(np.indices(stop - start), 0, -1) + start)
            solid = solid_vertebra(frame.to_local_mm(xyz), (heights_mm or {}).get(n, 24.0))
            bones[block][solid > 0] = STRUCTURES[name].id
            parts[block][solid > 0] = solid[solid > 0]
        names = {name: structure.id for name, structure in STRUCTURES.items()}
        return LabelMap(bones, grid, names), LabelMap(parts, grid, {"body": 1, "posterior": 2})

    return make
