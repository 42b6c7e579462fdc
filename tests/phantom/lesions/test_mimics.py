from dataclasses import replace

import numpy as np
import pytest

from osteomet.core.errors import UsageError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, LesionType
from osteomet.phantom.body import Body, sample_body
from osteomet.phantom.geometry.distances import VERTEBRAL_BODY
from osteomet.phantom.geometry.shapes import Shapes, ShapeTable, Warp
from osteomet.phantom.lesions import benign, degenerative
from osteomet.phantom.lesions.deposits import METASTASIS, Deposit, Realm
from osteomet.phantom.lesions.mimics import MIMICS, sample_mimics
from osteomet.phantom.lesions.sites import cast
from osteomet.phantom.scene import label_scene, lobes_in, view_body
from osteomet.phantom.skeleton.anatomy import Column, sample_column
from osteomet.phantom.truth import measure_truth

STILL = Warp(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1))


@pytest.fixture(scope="module")
def column() -> Column:
    return replace(sample_column(np.random.default_rng(8)), wear=1.0)


@pytest.fixture(scope="module")
def body() -> Body:
    return replace(sample_body(np.random.default_rng(8), n_metastases=4), warp=STILL)


def test_every_patient_has_only_named_mimics_and_the_asked_metastases(body: Body) -> None:
    causes = [d.cause for d in body.deposits]
    assert causes.count(METASTASIS) == 4
    assert set(causes) - {METASTASIS} <= set(MIMICS)
    assert {"basivertebral_vein", "facet_arthrosis"} <= set(causes)


def test_same_seed_same_patient(body: Body) -> None:
    again = sample_body(np.random.default_rng(8), n_metastases=4)
    assert len(again.deposits) == len(body.deposits)
    for one, other in zip(body.deposits, again.deposits, strict=True):
        assert one.lobes_mm.tobytes() == other.lobes_mm.tobytes()
        assert (one.cause, one.shift_hu, one.fill_hu) == (other.cause, other.shift_hu, other.fill_hu)
    assert again.bones.parameters.tobytes() == body.bones.parameters.tobytes()


def test_haemangiomas_are_as_common_as_on_ct(column: Column) -> None:
    counts = [len(benign.haemangiomas(np.random.default_rng(s), column.vertebrae)) for s in range(1500)]
    assert np.mean(np.array(counts) > 0) == pytest.approx(0.26, abs=0.03)
    assert np.mean(np.array(counts) > 1) == pytest.approx(0.072, abs=0.02)


def test_wear_brings_degeneration_and_youth_little_of_it(column: Column) -> None:
    young = replace(column, wear=0.0)
    old_changes, young_changes = (
        sum(len(degenerative.worn_discs(np.random.default_rng(s), c)) for s in range(20)) for c in (column, young)
    )
    assert old_changes > 4 * young_changes
    assert not degenerative.add_osteophytes(ShapeTable(), young, np.random.default_rng(0))


def test_osteophytes_are_new_bone_of_their_vertebra_beyond_its_rim(column: Column) -> None:
    table = ShapeTable()
    for v in column.vertebrae:
        size, shape = (v.width_mm, v.depth_mm, v.height_mm), (1.0, 0.08, v.wedge)
        table.vertebral_body(v.centre_mm, v.axes, size, shape, owner=STRUCTURES[v.name].id)
    before = table.freeze()
    spurs = degenerative.add_osteophytes(table, column, np.random.default_rng(3))
    after = table.freeze()
    assert len(spurs) > 5
    up = np.array([0.0, 0.0, 1.0])
    for spur in spurs:
        middles = spur.lobes_mm[: len(spur.lobes_mm) // 2, :3]
        own = [cast(after, p, up, length_mm=1.0) for p in middles]
        assert all(ray.depth_mm[0] > 0 for ray in own)
        assert all(ray.owner[0] == spur.owner for ray in own)
        highest = spur.lobes_mm[: len(middles), 3].argmax()
        tip = spur.lobes_mm[len(middles) + highest, :3]
        assert cast(before, tip, up, length_mm=1.0).depth_mm[0] < 0


def body_row(bones: Shapes, name: str) -> np.ndarray:
    is_body = (bones.owners == STRUCTURES[name].id) & (bones.kinds == VERTEBRAL_BODY)
    return np.asarray(bones.parameters[np.flatnonzero(is_body)[0]])


def test_modic_changes_face_each_other_across_a_disc(column: Column) -> None:
    found = [d for s in range(10) for d in degenerative.worn_discs(np.random.default_rng(s), column)]
    modic = [d for d in found if d.cause.startswith("modic")]
    assert modic
    for below, above in zip(modic[::2], modic[1::2], strict=True):
        assert below.cause == above.cause
        distance = np.linalg.norm(below.lobes_mm[0, :3] - above.lobes_mm[0, :3])
        assert 1 < distance < 22
        expected = {LesionType.SCLEROTIC} if below.cause == "modic_3" else {LesionType.MARROW}
        assert set(below.types) == expected


def test_cement_lies_about_its_vertebra_and_is_dense(column: Column) -> None:
    found = [d for s in range(60) for d in benign.fractures(np.random.default_rng(s), column, {"L1": 0.4})]
    cement = [d for d in found if d.cause == "cement"]
    bands = [d for d in found if d.cause == "osteoporotic_fracture" and LesionType.SCLEROTIC in d.types]
    recent = [d for d in found if d.cause == "osteoporotic_fracture" and LesionType.MARROW in d.types]
    assert len(cement) / 60 == pytest.approx(0.3, abs=0.18)
    assert len(bands) / 60 == pytest.approx(0.6, abs=0.2)
    assert len(recent) / 60 == pytest.approx(0.4, abs=0.2)
    first = column.nearest("L1")
    for d in cement:
        assert d.realm is Realm.ANYWHERE
        assert 1500 <= d.fill_hu <= 3000
        assert np.linalg.norm(d.lobes_mm[:, :3] - first.centre_mm, axis=1).max() < 0.6 * first.width_mm


def test_tarlov_cysts_lie_behind_a_sacral_body(body: Body) -> None:
    found = [d for s in range(200) for d in benign.tarlov_cysts(np.random.default_rng(s), body.bones)]
    assert 3 <= len(found) <= 40
    row = body_row(body.bones, "sacrum")
    for d in found:
        assert d.lobes_mm[0, 2] < row[2]
        assert d.lobes_mm[0, 1] > row[1]


def test_sacroiliac_changes_lie_within_reach_of_the_joint(body: Body, column: Column) -> None:
    found = [
        d for s in range(12) for d in degenerative.sacroiliac_changes(np.random.default_rng(s), column, body.bones)
    ]
    assert found
    names = {STRUCTURES[n].id for n in ("sacrum", "hip_left", "hip_right")}
    for d in found:
        assert d.owner in names
        assert 25 < abs(d.lobes_mm[0, 0]) < 100


def test_mimics_and_lesions_of_a_whole_patient_never_share_a_voxel(body: Body) -> None:
    for d in [d for d in body.deposits if d.is_metastasis]:
        grid = Grid.from_spacing((24, 24, 24), (2.0, 2.0, 2.0), origin_mm=(d.lobes_mm[0, :3] - 23).tolist())
        truth = label_scene(
            view_body(body, grid, margin_mm=2.0), list(lobes_in(view_body(body, grid, margin_mm=2.0), body.deposits))
        )
        assert (truth.lesions > 0).any()
        assert not ((truth.lesions > 0) & (truth.mimics > 0)).any()


def test_every_named_mimic_is_drawn_and_labelled_by_its_name() -> None:
    """One of each kind, alone in the patient; hardware of metal is drawn apart and tested in `ct.test_metal`."""
    body = replace(sample_body(np.random.default_rng(8), n_metastases=0, age_years=88.0), warp=STILL)
    worn = replace(body.column, wear=1.0)
    found = {d.cause: d for d in body.deposits}
    for seed in range(60):
        drawn = sample_mimics(np.random.default_rng(seed), worn, body.bones, fractured={"L1": 0.4})
        found |= {d.cause: d for d in drawn if d.cause not in found}
    assert set(found) == set(MIMICS) - {"pedicle_screws", "hip_prosthesis"}
    for code, name in enumerate(MIMICS, start=1):
        if name in found:
            low = found[name].lobes_mm[:, :3].min(axis=0) - 12.0
            shape = np.ceil((found[name].lobes_mm[:, :3].max(axis=0) + 12.0 - low) / 1.5).astype(int) + 1
            grid = Grid.from_spacing(shape.tolist(), (1.5, 1.5, 1.5), origin_mm=low.tolist())
            scene = view_body(replace(body, deposits=(found[name],), hardware=None), grid, margin_mm=2.0)
            truth = label_scene(scene, list(lobes_in(scene, [found[name]])))
            assert set(np.unique(truth.mimics)) == {0, code}, name
            assert not truth.lesions.any()


def sphere_in_l3(body: Body, radius: float) -> Deposit:
    row = body_row(body.bones, "L3")
    return replace(
        next(d for d in body.deposits if d.is_metastasis),
        lobes_mm=np.array([[*row[:3], radius]]), types=(LesionType.LYTIC,), owner=STRUCTURES["L3"].id, ripple_mm=0.0,
        breach=False, outgrow_mm=(), treated=False,
    )  # fmt: skip


@pytest.mark.parametrize("radius", [1.5, 4.0, 8.0])
def test_true_volume_of_a_ball(body: Body, radius: float) -> None:
    truth = measure_truth(replace(body, deposits=(sphere_in_l3(body, radius),)), 1)
    assert truth.volume_ml == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.01)
    assert (truth.site, truth.subsite, truth.type) == ("L3", "body", LesionType.LYTIC)
    assert truth.centroid_xyz_mm is not None
    np.testing.assert_allclose(truth.centroid_xyz_mm, body_row(body.bones, "L3")[:3], atol=0.1)


def test_a_metastasis_under_a_later_one_is_not_counted_twice(body: Body) -> None:
    small, large = sphere_in_l3(body, 3.0), sphere_in_l3(body, 7.0)
    both = replace(body, deposits=(small, large))
    hidden = measure_truth(both, 1)
    assert hidden.volume_ml == 0
    assert hidden.centroid_xyz_mm is None
    with pytest.raises(
        UsageError, match="no such metastasis; expected 1 to 2; got 3; remedy: number metastases from 1"
    ):
        measure_truth(both, 3)
