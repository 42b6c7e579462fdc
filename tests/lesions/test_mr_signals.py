from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from osteomet.core.errors import GeometryError, InputError
from osteomet.core.grid import Grid
from osteomet.core.lesion import Lesion
from osteomet.core.mr_grade import MrCategory
from osteomet.core.vocabulary import LesionType, SequenceRole
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.lesions.anatomy import read_anatomy
from osteomet.lesions.frame import Frame
from osteomet.lesions.mr_grade import LesionExtent, grade_mr_lesion, grade_mr_lesions
from osteomet.lesions.mr_signals import Signals, Standards, find_standards, measure_signals, outside_bone_ml
from osteomet.phantom.mr.acquisition import acquire
from osteomet.phantom.mr.protocols import preset
from osteomet.phantom.mr.scanner import Composition, MrScanner
from osteomet.phantom.mr.tissues import Tissue, tissue_table

GRID = Grid.from_spacing((40, 30, 20), (2.0, 2.0, 4.0), origin_mm=(-40.0, -30.0, 0.0))
NOWHERE = np.zeros(GRID.shape, np.bool_)


def boxed(*sides: tuple[int, int]) -> np.ndarray:
    mask = NOWHERE.copy()
    mask[tuple(slice(*side) for side in sides)] = True
    return mask


LESION = boxed((4, 8), (4, 8), (4, 8))


def image(**values: float) -> Volume:
    array = np.zeros(GRID.shape, np.float32)
    places = {"lesion": LESION, "near": boxed((12, 16), (4, 8), (4, 8)), "far": boxed((36, 40), (4, 8), (4, 8))}
    for name, value in values.items():
        array[places[name]] = value
    return Volume(array, GRID, Modality.MR, Unit.ARBITRARY)


def test_medians_and_tissue_nearby_first() -> None:
    # The far block lies 64 mm from the lesion along the first axis, the near one 16 mm.
    both = boxed((12, 16), (4, 8), (4, 8)) | boxed((36, 40), (4, 8), (4, 8))
    far = boxed((36, 40), (4, 8), (4, 8))
    standards = Standards(GRID, muscle=both, disc=far, marrow=boxed((12, 13), (4, 5), (4, 8)))
    found = measure_signals({SequenceRole.T1: image(lesion=3.0, near=5.0, far=9.0)}, LESION, standards)
    # Muscle is near; disc only far away; four voxels of marrow are too few.
    assert found == {SequenceRole.T1: Signals(lesion=3.0, muscle=5.0, disc=9.0, marrow=None)}


def test_refusals() -> None:
    standards = Standards(GRID, NOWHERE, NOWHERE, NOWHERE)
    with pytest.raises(InputError, match="without voxels"):
        measure_signals({}, NOWHERE, standards)
    moved = replace(image(), grid=Grid.from_spacing(GRID.shape, (2.0, 2.0, 4.0)))
    with pytest.raises(GeometryError, match="T2"):
        measure_signals({SequenceRole.T2: moved}, LESION, standards)


def test_volume_outside_of_bone() -> None:
    # Bone up to index 9 along the first axis; the lesion reaches to 14: from 12 on it is 6 mm and more away, at 11
    # 4 mm, at 10 2 mm. Four of 10 x 4 x 4 layers of 16 voxels of 0.016 ml.
    bones = boxed((0, 10), (0, 30), (0, 20))
    lesions = 3 * boxed((5, 15), (4, 8), (4, 8)).astype(np.uint16)
    assert outside_bone_ml(lesions, bones, GRID) == {3: pytest.approx(4 * 16 * 0.016)}
    assert outside_bone_ml(lesions, NOWHERE, GRID) == {3: None}
    assert outside_bone_ml(np.zeros_like(lesions), bones, GRID) == {}


def test_muscle_disc_and_marrow_from_bones_alone(make_spine: Callable[..., tuple[LabelMap, LabelMap]]) -> None:
    # Two vertebrae 32 mm apart with bodies 24 mm high: a gap of 8 mm, just as wide as the ball of disc.
    grid = Grid.from_spacing((76, 80, 64), (1, 1, 1), origin_mm=(-37.5, -39.5, -15.5))
    frames = [(name, Frame(np.array([0.0, -20.0, z]), np.eye(3))) for name, z in (("L3", 32.0), ("L4", 0.0))]
    bones, parts = make_spine(grid, frames)
    lesions = np.zeros(grid.shape, np.bool_)
    lesions[:38, :, 32:] = True
    standards = find_standards(read_anatomy(bones, parts, field_of_view=grid), lesions)
    disc_mm = grid.to_xyz_mm(np.argwhere(standards.disc))
    np.testing.assert_allclose(disc_mm.mean(axis=0), [0.0, -20.0, 16.0], atol=1.0)
    assert np.linalg.norm(disc_mm - [0.0, -20.0, 16.0], axis=1).max() <= 5.0
    # The arch reaches 55 mm back, all but a twentieth of it 50 mm: muscle is 15 mm beside and 40 mm behind the body.
    muscle_mm = grid.to_xyz_mm(np.argwhere(standards.muscle))
    assert np.abs(np.abs(muscle_mm[:, 0]) - 15.0).max() <= 6.0
    assert np.abs(muscle_mm[:, 1] - 20.0).max() <= 6.0
    assert set(np.sign(muscle_mm[:, 0])) == {-1.0, 1.0}
    # Marrow of the upper vertebra is taken on the left only, 5 mm clear of the lesion; bodies are 40 by 30 by 24 mm.
    marrow_mm = grid.to_xyz_mm(np.argwhere(standards.marrow))
    assert marrow_mm[marrow_mm[:, 2] > 20, 0].min() > 5.0
    low = marrow_mm[(marrow_mm[:, 2] < 10) & (marrow_mm[:, 1] < -8)]
    assert (low.min(axis=0).tolist(), low.max(axis=0).tolist()) == ([-17.5, -32.5, -9.5], [17.5, -8.5, 9.5])


@pytest.mark.parametrize("field_strength_t", [1.5, 3.0])
@pytest.mark.parametrize(
    ("tissue", "category"),
    [
        (Tissue.METASTASIS, MrCategory.PROBABLE),
        (Tissue.METASTASIS_SCLEROTIC, MrCategory.INDETERMINATE),
        (Tissue.HAEMANGIOMA, MrCategory.INDETERMINATE),
        (Tissue.MIXED_MARROW, None),
    ],
)
def test_tissues_of_the_phantom(tissue: Tissue, category: MrCategory | None, field_strength_t: float) -> None:
    index = np.full(GRID.shape, Tissue.MUSCLE, np.uint8)
    marrow = boxed((2, 22), (2, 26), (2, 18))
    disc = boxed((24, 30), (10, 20), (4, 16))
    index[marrow], index[disc], index[LESION] = Tissue.MIXED_MARROW, Tissue.NUCLEUS_HYDRATED, tissue
    nothing = np.zeros(GRID.shape, np.float32)
    body = Composition(GRID, index, index.copy(), nothing, np.full(GRID.shape, 0.5, np.float32))
    scanner = MrScanner(tissue_table(field_strength_t), level=1000)
    images = {}
    for role in (SequenceRole.T1, SequenceRole.FO, SequenceRole.CE):
        acquired = acquire(body, preset(role, field_strength_t), scanner, np.random.default_rng(0))
        images[role] = acquired.images[role.value]
    standards = Standards(GRID, boxed((32, 38), (4, 26), (4, 16)), disc, marrow & ~boxed((2, 10), (2, 10), (2, 10)))
    grade = grade_mr_lesion(measure_signals(images, LESION, standards), LesionExtent())
    assert grade.category is category, [c.evidence for c in grade.criteria]


@pytest.mark.parametrize(("height_mm", "category"), [(24.0, MrCategory.PROBABLE), (12.0, MrCategory.DEFINITE)])
def test_lesions_of_an_exam(
    make_spine: Callable[..., tuple[LabelMap, LabelMap]], height_mm: float, category: MrCategory
) -> None:
    # Soft tissue has 200 on T1, marrow 400, the lesion 210; after contrast marrow has 100 and the lesion 200.
    grid = Grid.from_spacing((76, 80, 64), (1, 1, 1), origin_mm=(-37.5, -39.5, -15.5))
    frames = [(name, Frame(np.array([0.0, -20.0, z]), np.eye(3))) for name, z in (("L3", 32.0), ("L4", 0.0))]
    bones, parts = make_spine(grid, frames, {0: height_mm})
    instances = np.zeros(grid.shape, np.uint16)
    instances[34:42, 16:24, 44:51] = 7
    t1, ce = (np.where(bones.array > 0, marrow, 200.0).astype(np.float32) for marrow in (400.0, 100.0))
    t1[instances > 0], ce[instances > 0] = 210.0, 200.0
    images = {
        role: Volume(array, grid, Modality.MR, Unit.ARBITRARY)
        for role, array in ((SequenceRole.T1, t1), (SequenceRole.CE, ce))
    }
    place = (0.0, -20.0, 32.0)
    lesion = Lesion(7, LesionType.MARROW, "L3", "body", place, 8.0, 8.0, (place, place), 0.4, 210.0, 0.9, "2.25.1")
    anatomy = read_anatomy(bones, parts, field_of_view=bones.grid)
    (graded,) = grade_mr_lesions([lesion], instances, anatomy, images)
    assert graded.mr_grade is not None
    assert graded.mr_grade.category is category, graded.mr_grade.criteria
    assert graded.mr_grade.criteria[0].evidence == (
        "T1 1.05 of muscle, 1.05 of disc (at most 1.1 of the brighter); no fat-only image"
    )
    assert graded.mr_grade.criteria[1].evidence == "with contrast 2.00 of marrow (at least 1.5), 1.00 of muscle"
    assert graded.mr_grade.criteria[2].evidence == "0.00 ml outside (at least 0.1)"
