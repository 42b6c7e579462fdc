import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.lesions.split import Piece, split_at_bones, split_at_waists

Spacing = tuple[float, float, float]
SPACINGS: list[Spacing] = [(1.0, 1.0, 1.0), (1.5, 1.5, 1.5), (1.0, 1.0, 2.0), (0.8, 1.6, 1.0)]


def coordinates_mm(spacing_mm: Spacing, half_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Voxel centres of a box about 0, an odd number along each axis."""
    n = [int(h // s) for h, s in zip(half_mm, spacing_mm, strict=True)]
    axes = [np.arange(-m, m + 1) * s for m, s in zip(n, spacing_mm, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def ball(xyz: NDArray[np.float64], centre: tuple[float, float, float], radius_mm: float) -> NDArray[np.bool_]:
    return np.asarray(((xyz - centre) ** 2).sum(axis=-1) <= radius_mm**2)


def piece(mask: NDArray[np.bool_], spacing_mm: Spacing, *, minimum_voxels: int = 10) -> Piece:
    return Piece(mask, mask, spacing_mm, minimum_voxels)


def lobes(mask: NDArray[np.bool_], spacing_mm: Spacing) -> list[int]:
    """Sizes of the lobes, largest first, checked to fill the candidate."""
    labels = split_at_waists(piece(mask, spacing_mm), waist_ratio=0.6)
    assert ((labels > 0) == mask).all()
    sizes = np.bincount(labels[mask])[1:]
    assert sizes.min() > 0
    return sorted(sizes.tolist(), reverse=True)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize(
    ("distance_mm", "expected"),
    # Radius 10 mm; the neck is √(100 − d²/4): 2.2, 5.3 (a ratio under 0.6), then 7.1, 8 and 10 mm.
    [(19.5, 2), (17.0, 2), (14.0, 1), (12.0, 1), (1.0, 1)],
)
def test_two_balls_are_two_lesions_when_their_neck_is_narrow(
    spacing_mm: Spacing, axis: int, distance_mm: float, expected: int
) -> None:
    half = [13.0, 13.0, 13.0]
    half[axis] = 24.0
    xyz = coordinates_mm(spacing_mm, (half[0], half[1], half[2]))
    apart = np.eye(3)[axis] * distance_mm / 2
    mask = ball(xyz, tuple(apart), 10) | ball(xyz, tuple(-apart), 10)
    sizes = lobes(mask, spacing_mm)
    assert len(sizes) == expected
    if expected == 2:
        assert sizes[1] / sizes[0] >= 0.9


def test_unequal_balls_are_judged_by_the_narrower() -> None:
    spacing_mm = (1.0, 1.0, 1.0)
    xyz = coordinates_mm(spacing_mm, (30, 14, 14))
    # Radii 12 and 6 mm, 17 mm apart: the circle where they meet has radius √(144 − ((289 + 144 − 36)/34)²) = 2.8 mm.
    # That is 0.23 of the wide one and 0.46 of the narrow one, so a waist. At 13 mm it is 5.8 mm: none.
    assert len(lobes(ball(xyz, (0, 0, 0), 12) | ball(xyz, (17, 0, 0), 6), spacing_mm)) == 2
    assert len(lobes(ball(xyz, (0, 0, 0), 12) | ball(xyz, (13, 0, 0), 6), spacing_mm)) == 1


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_a_dumb_bell_is_two_lesions_that_share_the_bar(spacing_mm: Spacing) -> None:
    xyz = coordinates_mm(spacing_mm, (28, 12, 12))
    bar = (np.hypot(xyz[..., 1], xyz[..., 2]) <= 2.5) & (np.abs(xyz[..., 0]) <= 18)
    mask = ball(xyz, (18, 0, 0), 8) | ball(xyz, (-18, 0, 0), 8) | bar
    sizes = lobes(mask, spacing_mm)
    assert len(sizes) == 2
    assert sizes[1] / sizes[0] >= 0.9


def test_three_balls_in_a_row_are_three() -> None:
    xyz = coordinates_mm((1.0, 1.0, 1.0), (34, 12, 12))
    mask = ball(xyz, (-19, 0, 0), 10) | ball(xyz, (0, 0, 0), 10) | ball(xyz, (19, 0, 0), 10)
    assert len(lobes(mask, (1.0, 1.0, 1.0))) == 3


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_shapes_without_a_waist_stay_whole(spacing_mm: Spacing) -> None:
    xyz = coordinates_mm(spacing_mm, (26, 16, 16))
    x, y, z = np.moveaxis(xyz, -1, 0)
    rod = (np.hypot(y, z) <= 5) & (np.abs(x) <= 22)
    plate = (np.abs(x) <= 20) & (np.abs(y) <= 14) & (np.abs(z) <= 3)
    ring = (np.hypot(x, y) <= 14) & (np.hypot(x, y) >= 8) & (np.abs(z) <= 4)
    for mask in (rod, plate, ring):
        assert len(lobes(mask, spacing_mm)) == 1


def test_specks_are_not_lobes() -> None:
    # Two cubes of three voxels that touch by a corner: 1.5 voxels in radius, nothing a waist could be measured on.
    mask = np.zeros((8, 8, 8), dtype=bool)
    mask[1:4, 1:4, 1:4] = mask[4:7, 4:7, 4:7] = True
    assert len(lobes(mask, (1.0, 1.0, 1.0))) == 1


def test_a_lobe_without_seed_or_of_too_few_voxels_stays_with_the_other() -> None:
    spacing_mm = (1.0, 1.0, 1.0)
    xyz = coordinates_mm(spacing_mm, (24, 12, 12))
    left, right = ball(xyz, (9.5, 0, 0), 10), ball(xyz, (-9.5, 0, 0), 10)
    mask = left | right
    assert split_at_waists(Piece(mask, left & ~right, spacing_mm, 10), waist_ratio=0.6).max() == 1
    assert split_at_waists(Piece(mask, mask, spacing_mm, 5000), waist_ratio=0.6).max() == 1
    assert split_at_waists(Piece(mask, mask, spacing_mm, 3000), waist_ratio=0.6).max() == 2


def test_a_flipped_candidate_is_split_alike() -> None:
    spacing_mm = (1.0, 1.0, 2.0)
    xyz = coordinates_mm(spacing_mm, (26, 14, 14))
    mask = ball(xyz, (10, 0, 0), 10) | ball(xyz, (-9, 2, 0), 9)
    for axis in range(3):
        assert lobes(np.flip(mask, axis), spacing_mm) == lobes(mask, spacing_mm)


def two_bones(shape: tuple[int, int, int] = (12, 12, 24)) -> NDArray[np.uint16]:
    """Bone 1 below index 10 along k, bone 2 from index 12 on, a disc of two voxels between them."""
    bones = np.zeros(shape, dtype=np.uint16)
    bones[..., :10], bones[..., 12:] = 1, 2
    return bones


def test_a_candidate_across_a_disc_is_split_in_its_middle() -> None:
    mask = np.zeros((12, 12, 24), dtype=bool)
    mask[2:8, 2:8, 2:20] = True
    labels = split_at_bones(piece(mask, (1.0, 1.0, 1.0)), two_bones())
    assert labels[4, 4].tolist() == [0] * 2 + [1] * 9 + [2] * 9 + [0] * 4
    assert ((labels > 0) == mask).all()


@pytest.mark.parametrize(("reach", "expected"), [(4, 1), (5, 2)])
def test_a_candidate_that_only_spills_over_a_border_stays_whole(reach: int, expected: int) -> None:
    bones = np.ones((12, 12, 24), dtype=np.uint16)
    bones[..., 12:] = 2
    mask = np.zeros(bones.shape, dtype=bool)
    # The farthest voxel in bone 2 lies `reach` mm from the nearest in bone 1, and must lie farther than 4 mm.
    mask[2:8, 2:8, 2 : 12 + reach] = True
    assert split_at_bones(piece(mask, (1.0, 1.0, 1.0)), bones).max() == expected


def test_a_part_without_seed_joins_the_other_bone() -> None:
    mask = np.zeros((12, 12, 24), dtype=bool)
    mask[2:8, 2:8, 2:20] = True
    seeds = mask.copy()
    seeds[..., 10:] = False
    assert split_at_bones(Piece(mask, seeds, (1.0, 1.0, 1.0), 10), two_bones()).max() == 1


def test_a_candidate_in_one_bone_or_in_none_is_not_split() -> None:
    mask = np.zeros((12, 12, 24), dtype=bool)
    mask[2:8, 2:8, 1:11] = True
    assert split_at_bones(piece(mask, (1.0, 1.0, 1.0)), two_bones()).max() == 1
    assert (split_at_bones(piece(mask, (1.0, 1.0, 1.0)), np.zeros(mask.shape, np.uint16)) == mask).all()
