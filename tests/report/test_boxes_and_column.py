from collections.abc import Callable

import numpy as np
import pytest

from osteomet.core.findings import Abstention, Findings
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Volume
from osteomet.report.boxes import label_boxes, world_box_mm
from osteomet.report.column import Level, column_course, column_levels

Phantom = tuple[Findings, Volume, LabelMap, LabelMap]


@pytest.mark.parametrize("order", ["C", "F"])
def test_boxes_are_the_same_in_every_memory_order(order: str) -> None:
    array = np.zeros((4, 5, 6), np.uint8, order="F" if order == "F" else "C")
    array[1, 2:4, 5] = 3
    array[3, 0, 0] = 1
    assert label_boxes(array) == {
        1: (slice(3, 4), slice(0, 1), slice(0, 1)),
        3: (slice(1, 2), slice(2, 4), slice(5, 6)),
    }
    assert label_boxes(np.zeros((2, 2, 2), np.uint16)) == {}


def test_world_box_reaches_from_voxel_edge_to_voxel_edge() -> None:
    grid = Grid.from_spacing((4, 4, 4), (1.0, 2.0, 3.0), origin_mm=(10, 20, 30), direction=np.diag([-1.0, 1.0, 1.0]))
    box = world_box_mm(grid, [(slice(1, 2), slice(0, 1), slice(0, 4)), (slice(3, 4), slice(0, 2), slice(0, 1))])
    assert box.tolist() == [[6.5, 19.0, 28.5], [9.5, 23.0, 40.5]]


def test_levels_lie_in_the_body_and_not_in_the_canal(column: Phantom) -> None:
    findings, _, bones, _ = column
    levels = column_levels(findings, bones, label_boxes(bones.array))
    assert [level.name for level in levels] == ["T12", "L1", "L2", "L3"]
    for level, lean, z in zip(levels, (30, 20, 10, 0), (56, 24, -8, -40), strict=True):
        # The body is centred on y = 0; the spinous process pulls the centre of mass well behind it.
        assert level.centre_xyz_mm == pytest.approx((lean, 0, z), abs=1.5)
    assert min(level.centroid_xyz_mm[1] for level in findings.levels) > 3


def test_uncertain_numbering_shows_in_every_vertebra(make_phantom: Callable[..., Phantom], column_grid: Grid) -> None:
    box = ((-20.0, -15.0, 0.0), (20.0, 15.0, 24.0))
    doubt = (Abstention("numbering_uncertain", "no landmark"),)
    below = ((-20.0, -15.0, -60.0), (20.0, 15.0, -20.0))
    findings, _, bones, _ = make_phantom(column_grid, {"L2": (box,), "sacrum": (below,)}, abstentions=doubt)
    labels = [level.label for level in column_levels(findings, bones, label_boxes(bones.array))]
    assert labels == ["L2?", "sacrum"]


def test_the_course_joins_the_vertebrae_and_ignores_the_sacrum() -> None:
    levels = [
        Level("L4", "L4", (10.0, 5.0, 100.0)),
        Level("L5", "L5", (0.0, 15.0, 60.0)),
        Level("sacrum", "sacrum", (0.0, 90.0, 20.0)),
    ]
    course = column_course(levels, axis=1)
    assert course is not None
    assert course(np.array([200.0, 100.0, 80.0, 60.0, 0.0])).tolist() == [5.0, 5.0, 10.0, 15.0, 15.0]
    alone = column_course(levels[2:], axis=1)
    assert alone is not None
    assert float(alone(np.array(500.0))) == 90.0
    assert column_course([], axis=0) is None
