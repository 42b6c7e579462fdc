"""The pelvis in the flesh: outline, cleft, fat and muscles of the sizes that people have."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.phantom.body import Body, sample_body
from osteomet.phantom.geometry.shapes import Warp, distance_to_one
from osteomet.phantom.mr.scene import Marrow, compose
from osteomet.phantom.mr.tissues import Tissue
from osteomet.phantom.skeleton.anatomy import Numbering, Sex
from osteomet.phantom.soft_tissue.canvas import Canvas, Patient
from osteomet.phantom.soft_tissue.hips import HIP_MUSCLES, add_hip_muscle

STILL = Warp(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1))
SPACING_MM = 3.0
PATIENT = Patient(
    phase="native", fat_hu=-100, muscle_hu=55, artery_hu=42, pulmonary_hu=42, upper_vein_hu=41, vein_hu=41,
    renal_vein_hu=41, portal_hu=41, myocardium_hu=48, kidney_hu=33, medulla_hu=30, liver_hu=56, spleen_hu=48,
    urine_hu=5, fat_mm=17, wall_mm=18, streaks=0.3, wear=0.5, scale=1.0,
)  # fmt: skip


@pytest.fixture(scope="module", params=[Sex.MALE, Sex.FEMALE])
def body(request: pytest.FixtureRequest) -> Body:
    drawn = sample_body(
        np.random.default_rng(5), n_metastases=0, sex=request.param, age_years=60.0, numbering=Numbering.USUAL
    )
    return replace(drawn, warp=STILL, deposits=(), hardware=None)


def slice_at(body: Body, height_mm: float) -> NDArray[np.uint8]:
    """Tissue that has most of each voxel of an axial slice, x from -240 to 240 and y from -140 to 240 mm."""
    height = height_mm * body.column.scale
    grid = Grid.from_spacing((161, 128, 1), (SPACING_MM, SPACING_MM, 3.0), origin_mm=(-240.0, -140.0, height))
    return np.asarray(compose(body, grid, Marrow(0.5, 0.03)).composition.index_a[:, :, 0])


def back_of(patient: NDArray[np.bool_], x_mm: float) -> float:
    """Where the skin of the back lies in a sagittal column, mm."""
    column = patient[round((x_mm + 240) / SPACING_MM)]
    return -140 + SPACING_MM * float(np.flatnonzero(column).max())


def in_patient(tissue: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((tissue != Tissue.AIR) & (tissue != Tissue.GAS))


@pytest.mark.parametrize("height_mm", [-60, -20, 20, 60, 100])
def test_the_outline_is_the_same_on_both_sides(body: Body, height_mm: float) -> None:
    patient = in_patient(slice_at(body, height_mm))
    assert (patient ^ patient[::-1]).sum() < 0.03 * patient.sum()
    width = SPACING_MM * float(patient.any(axis=1).sum())
    depth = SPACING_MM * float(patient.any(axis=0).sum())
    assert 300 < width < 480
    assert 170 < depth < 330


def test_a_cleft_parts_the_buttocks_and_fades_at_the_loins(body: Body) -> None:
    def depth(height_mm: float) -> float:
        patient = in_patient(slice_at(body, height_mm))
        return min(back_of(patient, side * 66.0) for side in (-1, 1)) - back_of(patient, 0.0)

    assert 18 < depth(-20) < 70
    assert 18 < depth(-50) < 80
    assert depth(-20) > depth(40) > -6
    assert abs(depth(110)) < 12


def test_fat_lies_between_skin_and_gluteus_maximus(body: Body) -> None:
    tissue = slice_at(body, -20.0)
    column = tissue[round((66 + 240) / SPACING_MM)]
    behind = np.flatnonzero(column == Tissue.MUSCLE).max()
    fat = SPACING_MM * float((column[behind:] == Tissue.SUBCUTANEOUS_FAT).sum())
    assert 4 < fat < 70


def test_fat_fills_the_space_beside_the_rectum(body: Body) -> None:
    """The ischioanal fossa, between levator ani, obturator internus and gluteus maximus."""
    scale = body.column.scale
    tissue = slice_at(body, -50.0)
    column = round((33 * scale + 240) / SPACING_MM)
    row = round((50 * scale + 140) / SPACING_MM)
    near = tissue[column - 2 : column + 3, row - 2 : row + 3]
    assert (near == Tissue.SUBCUTANEOUS_FAT).mean() > 0.6


def volume_ml(name: str) -> float:
    """Volume of one muscle without its sheath, counted every 3 mm."""
    canvas = Canvas()
    add_hip_muscle(canvas, name, 1.0, PATIENT, strong=1.0)
    shapes = canvas.table.freeze()
    shapes = shapes.select(np.array([tissue == "muscle" for tissue in canvas.tissues]))
    low, high = shapes.boxes[:, 0].min(axis=0), shapes.boxes[:, 1].max(axis=0)
    points = np.stack(np.meshgrid(*(np.arange(a, b, 5.0) for a, b in zip(low, high, strict=True)), indexing="ij"), -1)
    inside = [any(distance_to_one(shapes, n, p) < 0 for n in range(len(shapes))) for p in points.reshape(-1, 3)]
    return float(np.sum(inside)) * 5.0**3 / 1000


@pytest.mark.parametrize(
    ("name", "low_ml", "high_ml"),
    [
        # Our choice for an adult of middle age; no table of volumes stands behind it.
        ("gluteus_maximus", 400, 900),
        ("gluteus_medius", 180, 380),
        ("iliacus", 80, 200),
    ],
)
def test_muscles_have_the_volumes_that_were_chosen(name: str, low_ml: float, high_ml: float) -> None:
    assert low_ml < volume_ml(name) < high_ml


def test_sections_ascend_and_have_extent() -> None:
    for parts in HIP_MUSCLES.values():
        for _, sections in parts:
            table = np.array(sections)
            assert (np.diff(table[:, 0]) > 0).all()
            assert (table[:, 3:5] > 0).all()


def test_muscle_is_drawn_on_both_sides_alike(body: Body) -> None:
    tissue = slice_at(body, 45.0)
    muscle = tissue == Tissue.MUSCLE
    left, right = muscle[81:].sum(), muscle[:80].sum()
    assert left == pytest.approx(right, rel=0.12)
    # Gluteus medius and maximus and iliopsoas of one side have some 60 cm² in a slice.
    assert 40 < left * SPACING_MM**2 / 100 < 140
