from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.errors import GeometryError
from osteomet.core.findings import LevelFinding, PartStatus
from osteomet.core.grid import Grid
from osteomet.core.lesion import Lesion
from osteomet.core.vocabulary import STRUCTURES, LesionType
from osteomet.core.volume import LabelMap
from osteomet.lesions.anatomy import Anatomy, Level, read_anatomy
from osteomet.lesions.frame import Frame
from osteomet.lesions.levels import BodyHeights, describe_levels, measure_heights
from osteomet.lesions.sins import Alignment, EnteredSins, Pain

CENTRE_MM = np.array([13.0, -92.0, 405.0])
Spine = tuple[LabelMap, LabelMap]
SpineMaker = Callable[..., Spine]


def upright(z_mm: float) -> Frame:
    return Frame(np.array([0.0, -20.0, z_mm]), np.eye(3))


def spine_grid(n_levels: int) -> Grid:
    """Unit grid with voxel centres on halves, for a column of vertebrae 32 mm apart with its lowest at z = 0."""
    return Grid.from_spacing((76, 80, 32 * n_levels), (1, 1, 1), origin_mm=(-37.5, -39.5, -15.5))


def column(make_spine: SpineMaker, names: Sequence[str], heights_mm: dict[int, float] | None = None) -> Anatomy:
    """Vertebrae from head to foot."""
    grid = spine_grid(len(names))
    frames = [(name, upright(32.0 * (len(names) - 1 - n))) for n, name in enumerate(names)]
    bones, parts = make_spine(grid, frames, heights_mm)
    return read_anatomy(bones, parts, field_of_view=grid)


def mark(anatomy: Anatomy, boxes_mm: dict[int, Sequence[tuple[float, float]]]) -> NDArray[np.uint16]:
    """Lesions as boxes of bone, by id, in LPS mm."""
    grid = anatomy.bones.grid
    xyz = grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    instances = np.zeros(grid.shape, dtype=np.uint16)
    for number, sides in boxes_mm.items():
        inside = np.logical_and.reduce(
            [(xyz[..., n] > low) & (xyz[..., n] < high) for n, (low, high) in enumerate(sides)]
        )
        instances[inside & (anatomy.bones.array > 0)] = number
    return instances


def lesion(number: int, site: str, kind: LesionType = LesionType.LYTIC, z_mm: float = 0.0) -> Lesion:
    return Lesion(
        id=number,
        type=kind,
        site=site,
        subsite=None,
        centroid_xyz_mm=(0.0, -20.0, z_mm),
        long_axis_mm=10.0,
        short_axis_mm=8.0,
        long_axis_ends_xyz_mm=((-5.0, -20.0, z_mm), (5.0, -20.0, z_mm)),
        volume_ml=0.5,
        mean_intensity=60.0,
        confidence=0.9,
        tracking_uid="2.25.1",
    )


def describe(
    anatomy: Anatomy,
    instances: NDArray[np.uint16],
    lesions: Sequence[Lesion],
    entered: dict[str, EnteredSins] | None = None,
) -> dict[str, LevelFinding]:
    found = describe_levels(anatomy, instances, lesions=lesions, name_confidence={"L3": 0.75}, entered=entered or {})
    return {level.name: level for level in found}


def test_a_column_without_lesions_is_described_from_head_to_foot(make_spine: SpineMaker) -> None:
    anatomy = column(make_spine, ["L2", "L3", "L4"])
    found = describe(anatomy, mark(anatomy, {}), [])
    assert list(found) == ["L2", "L3", "L4"]
    level = found["L3"]
    # Body 40 × 30 × 24; pedicles 2 × 6 × 15 × 10; laminae 32 × 5 × 14; transverse processes 2 × 18 × 6 × 8; spinous
    # process 6 × 20 × 12 mm, all edges on voxel borders: 28 800 + 1 800 + 2 240 + 1 728 + 1 440 voxels.
    assert level.volume_ml == pytest.approx(36.008)
    assert level.centroid_xyz_mm[0] == pytest.approx(0, abs=1e-9)
    assert level.centroid_xyz_mm[2] == pytest.approx(32)
    assert (level.anterior_height_mm, level.middle_height_mm, level.posterior_height_mm) == (24, 24, 24)
    assert level.confidence == 0.75
    assert found["L2"].confidence is None
    assert (level.complete, level.involved_fraction, level.lesion_ids, level.sins) == (True, 0, (), None)


@pytest.mark.parametrize("tilt_degrees", [0.0, 25.0])
def test_a_wedge_is_measured_at_the_middle_of_each_third(vertebra_grid: Grid, tilt_degrees: float) -> None:
    c, s = np.cos(np.radians(tilt_degrees)), np.sin(np.radians(tilt_degrees))
    frame = Frame(CENTRE_MM, np.array([[1, 0, 0], [0, c, -s], [0, s, c]]))
    xyz = vertebra_grid.to_xyz_mm(np.moveaxis(np.indices(vertebra_grid.shape), 0, -1))
    left, back, up = np.moveaxis(frame.to_local_mm(xyz), -1, 0)
    # 15 mm high at the front (15 mm before the middle), 25 mm at the back, symmetric about the superior axis.
    body = (np.abs(left) <= 20) & (np.abs(back) <= 15) & (np.abs(up) <= 10 + back / 6)
    labels = {name: structure.id for name, structure in STRUCTURES.items()}
    bones = LabelMap(body.astype(np.uint8) * labels["T7"], vertebra_grid, labels)
    parts = LabelMap(body.astype(np.uint8), vertebra_grid, {"body": 1, "posterior": 2})
    (level,) = read_anatomy(bones, parts, field_of_view=vertebra_grid).levels
    heights = measure_heights(level)
    assert heights is not None
    found = (heights.anterior_mm, heights.middle_mm, heights.posterior_mm)
    assert found == pytest.approx((20 - 10 / 3, 20, 20 + 10 / 3), abs=max(vertebra_grid.spacing_mm) / 2 + 0.5)


def test_heights_are_missing_where_the_body_is_cut_and_present_where_only_the_arch_is(make_spine: SpineMaker) -> None:
    grid = spine_grid(1)
    bones, parts = make_spine(grid, [("L3", upright(0.0))])
    shape = grid.shape

    def level(start: tuple[int, int, int], end: tuple[int, int, int]) -> Level:
        view = grid.crop(start, [b - a for a, b in zip(start, end, strict=True)])
        return read_anatomy(bones, parts, field_of_view=view).levels[0]

    whole = level((0, 0, 0), shape)
    without_tip = level((0, 0, 0), (shape[0], 70, shape[2]))
    cut = level((0, 0, 6), shape)
    assert (whole.complete, whole.body_complete) == (True, True)
    assert (without_tip.complete, without_tip.body_complete) == (False, True)
    assert (cut.complete, cut.body_complete) == (False, False)
    assert measure_heights(without_tip) == BodyHeights(24, 24, 24)
    assert measure_heights(cut) is None


def test_stray_voxels_change_neither_frame_nor_heights(make_spine: SpineMaker) -> None:
    grid = spine_grid(5)
    bones, parts = make_spine(grid, [("L3", upright(0.0))])
    untidy, untidy_parts = bones.array.copy(), parts.array.copy()
    for k in (120, 156):
        untidy[2:4, 2:4, k : k + 2] = STRUCTURES["L3"].id
        untidy_parts[2:4, 2:4, k : k + 2] = 1
    clean = read_anatomy(bones, parts, field_of_view=grid).levels[0]
    (dirty,) = read_anatomy(
        LabelMap(untidy, grid, bones.labels), LabelMap(untidy_parts, grid, parts.labels), field_of_view=grid
    ).levels
    assert clean.frame is not None
    assert dirty.frame is not None
    assert dirty.frame.axes == pytest.approx(clean.frame.axes, abs=0.01)
    assert measure_heights(dirty) == BodyHeights(24, 24, 24)


def test_a_fragment_of_a_body_has_neither_frame_nor_heights() -> None:
    grid = Grid.from_spacing((20, 20, 20), (1, 1, 1))
    bones = np.zeros(grid.shape, dtype=np.uint8)
    bones[5:12, 5:12, 5:12] = STRUCTURES["L3"].id
    labels = {name: structure.id for name, structure in STRUCTURES.items()}
    parts = LabelMap((bones > 0).astype(np.uint8), grid, {"body": 1, "posterior": 2})
    (level,) = read_anatomy(LabelMap(bones, grid, labels), parts, field_of_view=grid).levels
    assert level.frame is None
    assert measure_heights(level) is None


def test_c1_c2_and_the_sacrum_have_no_heights(make_spine: SpineMaker) -> None:
    anatomy = column(make_spine, ["C2", "C3", "sacrum"])
    found = describe(anatomy, mark(anatomy, {}), [])
    assert [level.middle_height_mm for level in found.values()] == [None, 24, None]


def test_a_collapsed_level_with_a_pedicle_is_scored_from_what_was_measured(make_spine: SpineMaker) -> None:
    anatomy = column(make_spine, ["L2", "L3", "L4"], {1: 12.0})
    # All of the body left of the middle, and 0.3 ml of the left pedicle (6 × 5 × 10 mm).
    instances = mark(anatomy, {6: [(0, 20), (-36, -5), (20, 44)]}) | mark(anatomy, {6: [(10, 16), (-5, 0), (27, 37)]})
    level = describe(anatomy, instances, [lesion(6, "L3")])["L3"]
    assert level.lesion_ids == (6,)
    n_lesion, n_level = 20 * 30 * 12 + 300, 40 * 30 * 12 + 7208
    assert level.involved_fraction == pytest.approx(n_lesion / n_level)
    assert level.sins is not None
    points = {part.name: (part.status, part.low, part.high) for part in level.sins.parts}
    assert points == {
        "location": (PartStatus.MEASURED, 2, 2),
        "pain": (PartStatus.UNKNOWN, 0, 3),
        "bone lesion quality": (PartStatus.MEASURED, 2, 2),
        "alignment": (PartStatus.UNKNOWN, 0, 4),
        "vertebral body collapse": (PartStatus.MEASURED, 3, 3),
        "posterolateral involvement": (PartStatus.MEASURED, 1, 1),
    }
    assert (level.sins.low, level.sins.high) == (8, 15)
    assert level.sins.category == "potentially unstable to unstable"


def test_what_a_person_enters_closes_the_range(make_spine: SpineMaker) -> None:
    anatomy = column(make_spine, ["L2", "L3", "L4"])
    instances = mark(anatomy, {1: [(-5, 5), (-25, -15), (27, 37)]})
    entered = {"L3": EnteredSins(Pain.OCCASIONAL, Alignment.NORMAL)}
    sins = describe(anatomy, instances, [lesion(1, "L3", LesionType.SCLEROTIC)], entered)["L3"].sins
    assert sins is not None
    # Mobile 2, occasional pain 1, sclerotic 0, normal 0, no collapse and 1 of 28.8 ml involved 0, no pedicle 0.
    assert (sins.low, sins.high, sins.category) == (3, 3, "stable")


def test_a_neighbour_with_a_lesion_is_passed_over_for_one_without(make_spine: SpineMaker) -> None:
    names = ["L1", "L2", "L3", "L4"]
    anatomy = column(make_spine, names, {1: 12.0, 2: 12.0})
    sides = [(-5.0, 5.0), (-25.0, -15.0)]
    instances = mark(anatomy, {1: [*sides, (59, 69)], 2: [*sides, (27, 37)]})
    both = describe(anatomy, instances, [lesion(1, "L2"), lesion(2, "L3")])
    for name in ("L2", "L3"):
        sins = both[name].sins
        assert sins is not None
        # 12 mm against L1 and L4 of 24 mm, not against each other.
        assert sins.parts[4].low == 3
        assert sins.parts[4].evidence.startswith("body 50 % lower than its neighbours")
    instances = mark(
        anatomy, {1: [*sides, (91, 101)], 2: [*sides, (59, 69)], 3: [*sides, (27, 37)], 4: [*sides, (-5, 5)]}
    )
    all_four = [lesion(n, name) for n, name in enumerate(names, start=1)]
    sins = describe(anatomy, instances, all_four)["L2"].sins
    assert sins is not None
    # No healthy neighbour is left: 12 mm against 24 mm of L1 and 12 mm of L3, 18 mm on average: a third lower.
    assert (sins.parts[4].low, sins.parts[4].high) == (2, 2)


def test_a_level_alone_or_cut_off_has_unknown_parts(make_spine: SpineMaker) -> None:
    anatomy = column(make_spine, ["T5"])
    instances = mark(anatomy, {1: [(-20, 20), (-36, -4), (-12, 6)]})
    sins = describe(anatomy, instances, [lesion(1, "T5")])["T5"].sins
    assert sins is not None
    # 18 of 24 mm of the body are involved, so it is at least 1 whatever its height was.
    assert (sins.parts[4].status, sins.parts[4].low, sins.parts[4].high) == (PartStatus.UNKNOWN, 1, 3)
    grid = anatomy.bones.grid
    parts = LabelMap(np.zeros_like(anatomy.bones.array), grid, {"body": 1, "posterior": 2})
    partless = read_anatomy(anatomy.bones, parts, field_of_view=grid)
    sins = describe(partless, instances, [lesion(1, "T5")])["T5"].sins
    assert sins is not None
    assert [(part.low, part.high) for part in sins.parts] == [(1, 1), (0, 3), (2, 2), (0, 4), (0, 3), (0, 3)]


def test_the_spinous_process_is_on_neither_side(make_spine: SpineMaker) -> None:
    anatomy = column(make_spine, ["T5", "T6"])
    instances = mark(anatomy, {1: [(-3, 3), (16, 36), (-6, 6)]})
    sins = describe(anatomy, instances, [lesion(1, "T6")])["T6"].sins
    assert sins is not None
    assert (sins.parts[5].status, sins.parts[5].low, sins.parts[5].high) == (PartStatus.MEASURED, 0, 0)


def test_vertebrae_of_undetermined_level_are_told_apart(make_spine: SpineMaker) -> None:
    anatomy = column(make_spine, ["vertebra"] * 3)
    instances = mark(anatomy, {1: [(-5, 5), (-25, -15), (27, 37)]})
    found = describe_levels(anatomy, instances, lesions=[lesion(1, "vertebra")], name_confidence={}, entered={})
    assert [level.name for level in found] == ["vertebra"] * 3
    assert [level.lesion_ids for level in found] == [(), (1,), ()]
    assert [level.volume_ml for level in found] == pytest.approx([36.008] * 3)
    assert [level.centroid_xyz_mm[2] for level in found] == pytest.approx([64, 32, 0])
    assert found[1].middle_height_mm == 24
    assert found[1].sins is not None
    assert (found[1].sins.parts[0].low, found[1].sins.parts[0].high) == (1, 3)


def test_lesions_of_other_bones_and_empty_maps_leave_levels_alone(make_spine: SpineMaker) -> None:
    anatomy = column(make_spine, ["L3"])
    found = describe(anatomy, mark(anatomy, {}), [lesion(1, "hip_left")])
    assert found["L3"].lesion_ids == ()
    nothing = LabelMap(np.zeros_like(anatomy.bones.array), anatomy.bones.grid, anatomy.bones.labels)
    parts = LabelMap(nothing.array, nothing.grid, {"body": 1, "posterior": 2})
    empty = read_anatomy(nothing, parts, field_of_view=nothing.grid)
    assert describe_levels(empty, mark(empty, {}), lesions=[], name_confidence={}, entered={}) == ()
    with pytest.raises(GeometryError, match="instances and bones differ in shape"):
        describe_levels(empty, np.zeros((2, 2, 2), np.uint16), lesions=[], name_confidence={}, entered={})
