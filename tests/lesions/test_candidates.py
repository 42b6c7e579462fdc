import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.errors import GeometryError, UsageError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import LabelMap
from osteomet.lesions.candidates import CandidateSettings, compute_confidences, find_instances

SHAPE = (40, 24, 24)
SETTINGS = CandidateSettings(growth_probability=0.3)


def bone_map(grid: Grid, array: NDArray[np.uint8] | None = None) -> LabelMap:
    labels = {name: structure.id for name, structure in STRUCTURES.items()}
    filled = np.full(grid.shape, STRUCTURES["L3"].id, dtype=np.uint8)
    return LabelMap(filled if array is None else array, grid, labels)


def unit_grid(shape: tuple[int, int, int] = SHAPE) -> Grid:
    return Grid.from_spacing(shape, (1.0, 1.0, 1.0))


def empty() -> NDArray[np.float32]:
    return np.zeros((2, *SHAPE), dtype=np.float32)


def test_nothing_probable_gives_no_lesion() -> None:
    instances = find_instances(empty(), bone_map(unit_grid()), settings=SETTINGS)
    assert instances.dtype == np.uint16
    assert not instances.any()
    assert compute_confidences(instances, empty()) == {}


def test_growth_needs_a_seed_and_takes_the_faint_rim() -> None:
    probability = empty()
    probability[0, 2:10, 2:10, 2:10] = 0.3
    probability[0, 5, 5, 5] = 0.5
    probability[0, 20:30, 2:10, 2:10] = 0.49
    probability[0, 2:10, 14:22, 14:22] = 0.29
    probability[0, 5, 17, 17] = 0.9
    instances = find_instances(probability, bone_map(unit_grid()), settings=SETTINGS)
    expected = np.zeros(SHAPE, dtype=bool)
    expected[2:10, 2:10, 2:10] = True
    assert (instances == expected).all()


def test_types_are_summed_for_the_extent() -> None:
    probability = empty()
    probability[0, 2:10, 2:10, 2:10] = 0.25
    probability[1, 2:10, 2:10, 2:10] = 0.25
    assert np.count_nonzero(find_instances(probability, bone_map(unit_grid()), settings=SETTINGS)) == 8**3


@pytest.mark.parametrize(("minimum_volume_ml", "n_lesions"), [(0.125, 1), (0.126, 0)])
def test_a_lesion_of_exactly_the_minimum_volume_stays(minimum_volume_ml: float, n_lesions: int) -> None:
    probability = empty()
    probability[0, 2:7, 2:7, 2:7] = 1
    settings = CandidateSettings(minimum_volume_ml=minimum_volume_ml)
    assert find_instances(probability, bone_map(unit_grid()), settings=settings).max() == n_lesions


def test_voxels_that_touch_by_a_corner_are_one_lesion() -> None:
    probability = empty()
    probability[0, 2:6, 2:6, 2:6] = probability[0, 6:10, 6:10, 6:10] = 1
    settings = CandidateSettings(waist_ratio=0)
    assert find_instances(probability, bone_map(unit_grid()), settings=settings).max() == 1


def test_touching_lesions_of_two_vertebrae_are_two_and_of_two_parts_of_one_hip_bone_are_one() -> None:
    probability = empty()
    probability[0, 4:36, 4:18, 4:18] = 1
    for first, second, expected in (
        ("L3", "L4", 2),
        ("sacrum", "hip_left", 2),
        ("hip_left", "hip_right", 2),
        ("ilium_left", "acetabulum_left", 1),
        ("acetabulum_left", "femoral_head_left", 2),
        ("femoral_head_left", "femoral_neck_left", 1),
        ("vertebra", "vertebra", 1),
    ):
        bones = np.full(SHAPE, STRUCTURES[first].id, dtype=np.uint8)
        bones[20:] = STRUCTURES[second].id
        instances = find_instances(probability, bone_map(unit_grid(), bones), settings=SETTINGS)
        assert instances.max() == expected, (first, second)


def test_a_waist_splits_within_one_bone() -> None:
    grid = unit_grid()
    ijk = np.moveaxis(np.indices(SHAPE), 0, -1)
    probability = empty()
    for centre in ((10, 12, 12), (28, 12, 12)):
        probability[1][((ijk - centre) ** 2).sum(axis=-1) <= 9.5**2] = 0.9
    instances = find_instances(probability, bone_map(grid), settings=SETTINGS)
    assert instances.max() == 2
    assert instances[10, 12, 12] != instances[28, 12, 12]
    whole = find_instances(probability, bone_map(grid), settings=CandidateSettings(waist_ratio=0))
    assert whole.max() == 1


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (1, -1, -1)])
def test_lesions_are_numbered_from_head_to_foot_then_right_to_left_in_any_orientation(
    signs: tuple[int, int, int],
) -> None:
    # z is superior, x the patient's left, y posterior: the third lesion lies lowest, the first two equally high.
    centres_mm = [(-8.0, 0.0, 6.0), (8.0, 0.0, 6.0), (0.0, 0.0, -6.0)]
    origin_mm = [-15.0 * s for s in signs]
    grid = Grid.from_spacing((31, 31, 31), (1, 1, 1), origin_mm=origin_mm, direction=np.diag(signs))
    xyz = grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    probability = np.zeros((2, *grid.shape), dtype=np.float32)
    for confidence, centre in zip((0.6, 0.9, 1.0), centres_mm, strict=True):
        probability[0][((xyz - centre) ** 2).sum(axis=-1) <= 16] = confidence
    instances = find_instances(probability, bone_map(grid), settings=SETTINGS)
    for number, centre in enumerate(centres_mm, start=1):
        assert instances[tuple(np.rint(grid.to_ijk(centre)).astype(int))] == number


def test_confidence_is_the_mean_of_the_most_probable_tenth() -> None:
    probability = empty()
    instances = np.zeros(SHAPE, dtype=np.uint16)
    instances[0, 0, :20] = 2
    probability[0, 0, 0, :20] = np.linspace(0.05, 1.0, 20) / 2
    probability[1, 0, 0, :20] = np.linspace(0.05, 1.0, 20) / 2
    instances[5, 5, 5:8] = 7
    probability[1, 5, 5, 5:8] = (0.4, 0.7, 0.5)
    confidences = compute_confidences(instances, probability)
    # Twenty voxels: the two most probable are 1.0 and 0.95. Three voxels: the most probable alone.
    assert confidences == pytest.approx({2: 0.975, 7: 0.7})


def test_geometry_and_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"expected \(n_types, 40, 24, 24\); got \(2, 8, 8, 8\)"):
        find_instances(np.zeros((2, 8, 8, 8), dtype=np.float32), bone_map(unit_grid()), settings=SETTINGS)
    for settings in (
        {"seed_probability": 0.2},
        {"growth_probability": 0.0},
        {"minimum_volume_ml": -1.0},
        {"waist_ratio": 1.5},
    ):
        with pytest.raises(UsageError, match="the settings for candidates cannot be meant"):
            CandidateSettings(**settings)
