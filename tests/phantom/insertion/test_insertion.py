"""Lesions in a scan: volume, place and signal as asked; everything else stays byte for byte."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.errors import GeometryError, InputError, UsageError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, LesionType, SequenceRole
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.image.noise import Noise
from osteomet.phantom.insertion import insert as insertion
from osteomet.phantom.insertion.insert import Insertion, insert_deposit, insert_metastases, shape_on
from osteomet.phantom.insertion.signal import MARROW_SIGNALS, describe_surroundings, value_step
from osteomet.phantom.lesions.deposits import METASTASIS, Deposit
from osteomet.phantom.scene import KIND_CODES

NAMES = {s.name: s.id for s in STRUCTURES.values()}
L3, L4 = NAMES["L3"], NAMES["L4"]
MARROW, MUSCLE, NOISE = 200.0, 50.0, 12.0
STILL = np.zeros((4, 3))


def make_scan(
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.5), *, seed: int = 0, marrow: float = MARROW
) -> tuple[Volume, LabelMap]:
    """Two balls of bone of radius 22 mm above each other in muscle, with noise; air at the edge."""
    shape = [round(n / s) for n, s in zip((70, 70, 110), spacing, strict=True)]
    grid = Grid.from_spacing(shape, spacing, origin_mm=(-35.0, -35.0, -55.0))
    xyz = grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    bones = np.zeros(grid.shape, dtype=np.uint8)
    for owner, z in ((L3, 26.0), (L4, -26.0)):
        bones[np.linalg.norm(xyz - [0, 0, z], axis=-1) < 22] = owner
    image = np.where(bones > 0, marrow, MUSCLE) + Noise(NOISE, (0.6, 0.6, 0.0)).draw(
        grid.shape, np.random.default_rng(seed)
    )
    image[:2] = -1000
    values = np.rint(image / 5).astype(np.int16) * 5
    return Volume(values, grid, Modality.CT, Unit.HU), LabelMap(bones, grid, NAMES)


def deposit(kind: LesionType, *, radius: float = 10.0, fill: float = 30.0, shift: float = 300.0) -> Deposit:
    """One smooth ball in the middle of L3."""
    lobe = np.array([[0.3, -0.4, 26.2, radius]])
    return Deposit(lobe, (kind,), L3, METASTASIS, fill, shift, 0.5, 0.0, STILL, 0.0, breach=False)


def put(image: Volume, bones: LabelMap, lesion: Deposit, role: SequenceRole = SequenceRole.CT) -> Insertion:
    around = describe_surroundings(image, bones, L3, lesion.lobes_mm[0, :3], role)
    return insert_deposit(image, bones, lesion, around, np.random.default_rng(3))


def inside(image: Volume, radius: float) -> NDArray[np.bool_]:
    xyz = image.grid.to_xyz_mm(np.moveaxis(np.indices(image.grid.shape), 0, -1))
    return np.asarray(np.linalg.norm(xyz - [0.3, -0.4, 26.2], axis=-1) < radius)


def filled_share(image: Volume, radius: float) -> NDArray[np.float64]:
    """Share of each voxel that the ball fills, asked at 2 × 2 × 10 points."""
    steps = [(np.arange(n) + 0.5) / n - 0.5 for n in (2, 2, 10)]
    offsets = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    index = np.moveaxis(np.indices(image.grid.shape), 0, -1)
    share = np.zeros(image.grid.shape)
    for offset in offsets:
        xyz = image.grid.to_xyz_mm(index + offset)
        share += (np.linalg.norm(xyz - [0.3, -0.4, 26.2], axis=-1) < radius) / len(offsets)
    return share


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.5), (0.8, 1.1, 5.0)])
def test_volume_of_a_ball(spacing: tuple[float, float, float]) -> None:
    image, bones = make_scan(spacing)
    result = put(image, bones, deposit(LesionType.LYTIC))
    true_ml = 4 / 3 * np.pi
    assert result.inserted[0].volume_ml == pytest.approx(true_ml, rel=0.02)
    # Slices of 5 mm cannot follow a ball of 20 mm: what they can hold is a sum over voxels, half filled or more.
    held = filled_share(image, 10.0) >= 0.5
    assert np.count_nonzero(result.lesions.array) == pytest.approx(held.sum(), rel=0.02)
    assert held.sum() * image.grid.voxel_volume_ml == pytest.approx(true_ml, rel=0.02 if spacing[2] < 2 else 0.06)
    assert result.inserted[0].site == "L3"
    assert (bones.array[result.lesions.array > 0] == L3).all()


@pytest.mark.parametrize(
    ("kind", "hu"), [(LesionType.LYTIC, 30.0), (LesionType.SCLEROTIC, MARROW + 300.0)], ids=["lytic", "sclerotic"]
)
def test_density_inside_and_the_grain_of_the_noise(kind: LesionType, hu: float) -> None:
    image, bones = make_scan()
    result = put(image, bones, deposit(kind))
    core = result.volume.array[inside(image, 7.0)].astype(float)
    # The lesion is uneven by 6 HU (lysis) or a fifth of its density (sclerosis) over some millimetres.
    assert core.mean() == pytest.approx(hu, abs=5 if kind is LesionType.LYTIC else 25)
    if kind is LesionType.LYTIC:
        rows = result.volume.array.astype(float)
        step = np.diff(rows, axis=0)[inside(image, 7.0)[1:]]
        usual = np.diff(image.array.astype(float), axis=0)[inside(image, 7.0)[1:]]
        assert step.std() == pytest.approx(usual.std(), rel=0.2)


def test_nothing_changes_outside() -> None:
    image, bones = make_scan()
    result = put(image, bones, deposit(LesionType.LYTIC))
    far = ~inside(image, 10 + 5.0)
    assert result.volume.array.dtype == image.array.dtype
    assert result.volume.array[far].tobytes() == image.array[far].tobytes()
    assert not result.lesions.array[far].any()
    # Values keep to the steps of 5 in which those of the scan come.
    assert value_step(image.array) == value_step(result.volume.array) == 5


def test_cortex_stays_where_lysis_does_not_break_out() -> None:
    image, bones = make_scan()
    share = {}
    for breach in (False, True):
        lesion = replace(deposit(LesionType.LYTIC, radius=16.0), breach=breach, outgrow_mm=(4.0 if breach else 0.0,))
        lesion.lobes_mm[0, :3] += [0, 14, 0]
        result = put(image, bones, lesion)
        outside = (result.lesions.array > 0) & (bones.array != L3)
        share[breach] = np.count_nonzero(outside) / np.count_nonzero(result.lesions.array)
        assert result.inserted[0].volume_ml < 4 / 3 * np.pi * 1.6**3
    # The smooth surface of the bone may leave a voxel here and there; a breach leaves a cap of 4 mm.
    assert share[False] < 0.03
    assert share[True] > 0.1


def test_signals_on_mr_follow_their_order() -> None:
    """Marrow 300, muscle 100 (as on T1): where a lesion lies between or beyond them on each kind of image."""
    image, bones = make_scan(marrow=300.0)
    array = np.where(bones.array > 0, 300, 100) + np.random.default_rng(1).normal(0, 4, image.array.shape)
    array[:2] = 1
    scan = Volume(array.astype(np.float32), image.grid, Modality.MR, Unit.ARBITRARY)
    level = {
        role: put(scan, bones, deposit(LesionType.LYTIC), role).volume.array[inside(scan, 7.0)].mean()
        for role in (
            SequenceRole.T1,
            SequenceRole.FO,
            SequenceRole.CE,
            SequenceRole.STIR,
            SequenceRole.DWI,
            SequenceRole.ADC,
        )
    }
    assert 78 <= level[SequenceRole.T1] <= 122
    assert 28 <= level[SequenceRole.FO] <= 108
    assert level[SequenceRole.CE] > 135
    assert level[SequenceRole.STIR] > 165
    assert level[SequenceRole.DWI] > 175
    assert 53 <= level[SequenceRole.ADC] <= 97
    assert set(MARROW_SIGNALS) == set(SequenceRole) - {SequenceRole.CT, SequenceRole.DYNAMIC}


def test_surroundings_are_those_of_the_scan() -> None:
    image, bones = make_scan()
    around = describe_surroundings(image, bones, L3, np.array([0.0, 0.0, 26.0]), SequenceRole.CT)
    assert around.marrow == pytest.approx(MARROW, abs=5)
    assert around.noise.deviation == pytest.approx(NOISE, rel=0.15)
    np.testing.assert_allclose(around.noise.grain, (0.6, 0.6, 0.0), atol=0.25)


def test_drawn_lesions_lie_in_their_bones_apart_from_each_other() -> None:
    image, bones = make_scan((1.5, 1.5, 2.0))
    seen: list[tuple[int, int]] = []
    result = insert_metastases(
        image, bones, np.random.default_rng(2), n=2, role=SequenceRole.CT, progress=lambda *x: seen.append(x)
    )
    assert seen == [(1, 2), (2, 2)]
    for lesion in result.inserted:
        mask = result.lesions.array == lesion.number
        owners = np.bincount(bones.array[mask], minlength=256)
        assert owners[NAMES[lesion.site]] == owners[1:].max()
        assert np.count_nonzero(mask) * image.grid.voxel_volume_ml == pytest.approx(lesion.volume_ml, rel=0.25)
        kinds = {kind for kind, code in KIND_CODES.items() if code in result.kinds.array[mask]}
        assert kinds == ({LesionType.LYTIC, LesionType.SCLEROTIC} if lesion.type is LesionType.MIXED else {lesion.type})
    np.testing.assert_array_equal(result.kinds.array > 0, result.lesions.array > 0)
    again = insert_metastases(
        image, bones, np.random.default_rng(2), n=2, role=SequenceRole.CT, progress=lambda *_: None
    )
    assert again.volume.array.tobytes() == result.volume.array.tobytes()
    assert again.lesions.array.tobytes() == result.lesions.array.tobytes()


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insertion, "_TRIES_A_LESION", 3)
    image, bones = make_scan((2.0, 2.0, 2.0))
    rng = np.random.default_rng(0)

    def run(bones: LabelMap, *, n: int = 1, role: SequenceRole = SequenceRole.CT) -> Insertion:
        return insert_metastases(image, bones, rng, n=n, role=role, progress=lambda *_: None)

    with pytest.raises(UsageError, match=r"the number of lesions is not negative; expected .*; got -1; remedy"):
        run(bones, n=-1)
    with pytest.raises(
        UsageError, match=r"no lesion can be put into this kind of image; expected CT, T1.*got dynamic; remedy"
    ):
        run(bones, role=SequenceRole.DYNAMIC)
    with pytest.raises(GeometryError, match="the image and the bones differ in geometry"):
        run(make_scan()[1])
    thin = np.zeros(image.grid.shape, dtype=np.uint8)
    thin[5, 5:9, 5:9] = L3
    with pytest.raises(
        InputError, match=r"no bone is big enough for a lesion; expected a bone that is 3 mm deep.*got L3"
    ):
        run(LabelMap(thin, image.grid, NAMES))
    with pytest.raises(
        InputError, match=r"no room for so many lesions; expected .*; got .* placed.*remedy: ask for fewer"
    ):
        run(bones, n=40)


def test_the_lattice_divides_the_voxels() -> None:
    image, bones = make_scan((0.8, 1.1, 5.0))
    shape = shape_on(bones, deposit(LesionType.LYTIC))
    size = [part.stop - part.start for part in shape.box]
    assert tuple(n * f for n, f in zip(size, shape.factors, strict=True)) == shape.scene.grid.shape
    corner = image.grid.to_xyz_mm(np.array([part.start for part in shape.box]) - 0.5)
    np.testing.assert_allclose(shape.scene.grid.to_xyz_mm((-0.5, -0.5, -0.5)), corner, atol=1e-6)
