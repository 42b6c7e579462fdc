from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from osteomet.core.errors import ModelError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.inference import cascade
from osteomet.inference.cascade import CascadeResult, instance_on_grid, run_cascade
from osteomet.io.model_package import ModelPackage

SOFT_TISSUE_HU, LYTIC_HU = -220.0, -120.0
SOFT_TISSUE_SIGNAL, OFFSET_HU = 200.0, 420.0
# A pelvis of boxes: index of the bone network's class, centre and size in LPS mm.
BOXES = (
    (3, (0, 0, 110), (40, 34, 22)),
    (3, (0, 0, 74), (40, 34, 22)),
    (6, (0, 0, 20), (70, 40, 60)),
    (7, (70, 0, 20), (40, 50, 80)),
    (8, (-70, 0, 20), (40, 50, 80)),
)
LESION = ((70.0, 4.0, 30.0), (16.0, 14.0, 18.0))
RIB_CLASS, RIB = 11, ((70.0, 0.0, 115.0), (30.0, 24.0, 30.0))


def hu_of(class_index: int) -> float:
    return 100.0 * class_index


def paint(grid: Grid) -> Volume:
    """The pelvis as a scan on any grid, each class with a density of its own."""
    xyz = grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1))

    def inside(centre: tuple[float, ...], size: tuple[float, ...]) -> NDArray[np.bool_]:
        return np.asarray((np.abs(xyz - centre) <= np.array(size) / 2).all(axis=-1))

    hu = np.full(grid.shape, SOFT_TISSUE_HU, dtype=np.float32)
    for index, centre, size in BOXES:
        hu[inside(centre, size)] = hu_of(index)
    hu[inside(*LESION)] = LYTIC_HU
    return Volume(hu, grid, Modality.CT, Unit.HU)


class DensityEngine:
    """Reads classes off densities: a class reaches from its pure voxels half-way to the density around it."""

    description = "density"

    def __init__(self, levels_hu: dict[int, float], n_outputs: int, around_hu: float) -> None:
        self.levels_hu, self.n_outputs, self.around_hu = levels_hu, n_outputs, around_hu

    def predict(self, batch: NDArray[np.float32]) -> NDArray[Any]:
        hu = (batch[0, 0] + 1) / 2 * 1500 - 250
        is_pure = maximum_filter(hu, 3) - minimum_filter(hu, 3) < 20
        found = np.zeros((1, self.n_outputs, *hu.shape), dtype=np.float32)
        for index, level in self.levels_hu.items():
            core = is_pure & (np.abs(hu - level) < 20)
            found[0, index] = maximum_filter(core, 5) & (np.abs(hu - level) < np.abs(hu - self.around_hu))
        found[0, 0] = ~found[0].any(axis=0)
        return found


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put density engines in place of networks; returns which parts were loaded."""
    names: list[str] = []

    def load(_: ModelPackage, part: str, **__: object) -> DensityEngine:
        names.append(part)
        if part == "bones":
            return DensityEngine({n: hu_of(n) for n in (*(box[0] for box in BOXES), RIB_CLASS)}, 13, SOFT_TISSUE_HU)
        return DensityEngine({1: LYTIC_HU}, 3, hu_of(7))

    monkeypatch.setattr(cascade, "load_engine", load)
    return names


class SignalEngine(DensityEngine):
    """The same on MR, where soft tissue is the median of the body; keeps what it was shown."""

    def __init__(self, levels_hu: dict[int, float], n_outputs: int, around_hu: float) -> None:
        super().__init__(levels_hu, n_outputs, around_hu)
        self.shown: list[NDArray[np.float32]] = []

    def predict(self, batch: NDArray[np.float32]) -> NDArray[Any]:
        self.shown.append(batch[0])
        signal = SOFT_TISSUE_SIGNAL * (1 + batch[:, :1]) / (1 - batch[:, :1])
        return super().predict(np.asarray((signal - OFFSET_HU + 250) / 750 - 1))


@pytest.fixture
def mr_engines(monkeypatch: pytest.MonkeyPatch) -> dict[str, SignalEngine]:
    """Engines for both parts of an MR model by name."""
    engines = {
        "bones": SignalEngine({box[0]: hu_of(box[0]) for box in BOXES}, 13, SOFT_TISSUE_HU),
        "lesions": SignalEngine({1: LYTIC_HU}, 2, hu_of(7)),
    }
    monkeypatch.setattr(cascade, "load_engine", lambda _, part, **__: engines[part])
    return engines


def as_mr(volume: Volume, gain: float) -> Volume:
    """The same pelvis on MR; at a gain of 1 soft tissue has `SOFT_TISSUE_SIGNAL`."""
    return Volume((volume.array + OFFSET_HU) * np.float32(gain), volume.grid, Modality.MR, Unit.ARBITRARY)


def axial() -> Grid:
    return Grid.from_spacing((130, 66, 72), (1.6, 1.6, 2.4), origin_mm=(-104, -52, -30))


def sagittal() -> Grid:
    direction = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    return Grid.from_spacing((66, 90, 104), (1.6, 1.9, 2.0), origin_mm=(-103, -52, -30), direction=direction)


def negated() -> Grid:
    return Grid.from_spacing(
        (130, 66, 72), (1.6, 1.6, 2.4), origin_mm=(104, 52, 140), direction=np.diag([-1.0, -1.0, -1.0])
    )


def oblique() -> Grid:
    a, b = np.deg2rad(12), np.deg2rad(-9)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    direction = about_z @ about_x
    shape, spacing = (136, 76, 84), np.array([1.6, 1.6, 2.4])
    middle = np.array([0, 0, 55.0])
    origin = middle - direction @ (spacing * (np.array(shape) - 1) / 2)
    return Grid.from_spacing(shape, spacing.tolist(), origin_mm=origin.tolist(), direction=direction)


def run(package: ModelPackage, volume: Volume, **keywords: Any) -> CascadeResult:
    return run_cascade(package, volume, device="cpu", cache_dir=Path("unused"), **keywords)


@pytest.mark.parametrize("make_grid", [axial, sagittal, negated, oblique])
def test_any_acquisition_gives_the_same_bones_and_lesion(
    package: ModelPackage, loaded: list[str], make_grid: Callable[[], Grid]
) -> None:
    grid = make_grid()
    found = run(package, paint(grid))
    assert loaded == ["bones", "lesions"]
    assert found.engine == "density"
    assert found.bones.grid.shape == grid.shape
    np.testing.assert_array_equal(found.bones.grid.affine, grid.affine)
    assert set(found.bones.present()) == {"L4", "L5", "sacrum", "hip_left", "hip_right"}
    assert [vertebra.name for vertebra in found.vertebrae] == ["L4", "L5"]
    for name, (_, centre, size) in zip(("L4", "L5", "sacrum", "hip_left", "hip_right"), BOXES, strict=True):
        mask = found.bones.mask(name)
        centroid = grid.to_xyz_mm(np.argwhere(mask)).mean(axis=0)
        np.testing.assert_allclose(centroid, centre, atol=2.5)
        assert mask.sum() * grid.voxel_volume_ml == pytest.approx(np.prod(size) / 1000, rel=0.3)
    evidence = found.lesions
    assert evidence is not None
    assert evidence.types == ("lytic", "sclerotic")
    assert evidence.probability.dtype == np.float16
    assert evidence.probability.shape == (2, *evidence.grid.shape)
    np.testing.assert_allclose(evidence.grid.spacing_mm, (1.5, 1.5, 1.5))
    lytic = evidence.probability[0] > 0.5
    np.testing.assert_allclose(evidence.grid.to_xyz_mm(np.argwhere(lytic)).mean(axis=0), LESION[0], atol=1.0)
    assert lytic.sum() * evidence.grid.voxel_volume_ml == pytest.approx(np.prod(LESION[1]) / 1000, rel=0.25)
    assert not evidence.probability[1].any()
    assert (evidence.bones.array > 0)[evidence.parts.array > 0].all()


@pytest.mark.parametrize("gain", [0.03, 1.0, 20.0])
def test_mr_gives_the_same_bones_and_lesion_at_any_gain(
    mr_package: ModelPackage, mr_engines: dict[str, SignalEngine], gain: float
) -> None:
    """T1 shows all, T2 the upper part from z = 30 mm on, diffusion is missing."""
    t1 = as_mr(paint(axial()), gain)
    t2 = as_mr(paint(axial().crop((0, 0, 25), (130, 66, 47))), 5.0)
    found = run(mr_package, t1, sequences={SequenceRole.T2: t2, SequenceRole.T1: t1})
    assert set(found.bones.present()) == {"L4", "L5", "sacrum", "hip_left", "hip_right"}
    evidence = found.lesions
    assert evidence is not None
    assert evidence.types == ("marrow",)
    marrow = evidence.probability[0] > 0.5
    np.testing.assert_allclose(evidence.grid.to_xyz_mm(np.argwhere(marrow)).mean(axis=0), LESION[0], atol=1.0)
    for shown in mr_engines["bones"].shown:
        assert shown.shape[0] == 2
    flags = np.stack([shown[[1, 3, 5]] for shown in mr_engines["lesions"].shown])
    assert set(np.unique(flags)) == {-1.0, 1.0}
    assert (flags[:, 2] == -1).all()
    assert ((flags[:, 1] == -1) | (flags[:, 0] == 1)).all()
    assert (flags[:, 0] == 1).sum() > (flags[:, 1] == 1).sum() > 0


def test_a_missing_sequence_leaves_the_others_as_they_are(
    mr_package: ModelPackage, mr_engines: dict[str, SignalEngine]
) -> None:
    t1 = as_mr(paint(axial()), 1.0)
    run(mr_package, t1, sequences={SequenceRole.T1: t1, SequenceRole.T2: as_mr(paint(sagittal()), 3.0)})
    with_t2 = np.stack(mr_engines["lesions"].shown)
    mr_engines["lesions"].shown.clear()
    run(mr_package, t1, sequences={SequenceRole.T1: t1})
    without = np.stack(mr_engines["lesions"].shown)
    others = [0, 1, 4, 5, 6]
    np.testing.assert_array_equal(with_t2[:, others], without[:, others])
    assert (without[:, 2:4] == -1).all()
    assert (with_t2[:, 3] == 1).any()


@pytest.mark.usefixtures("mr_engines")
def test_sequences_that_no_network_knows(mr_package: ModelPackage) -> None:
    t1 = as_mr(paint(axial()), 1.0)
    with pytest.raises(
        ModelError, match=r"'bones' of model 'toy' knows no sequence .* expected T1, T2; got ADC; remedy"
    ):
        run(mr_package, t1, sequences={SequenceRole.ADC: t1})


@pytest.mark.usefixtures("loaded")
def test_two_scans_of_one_patient_share_the_lattice(package: ModelPackage) -> None:
    first, second = (run(package, paint(make())).lesions for make in (axial, sagittal))
    assert first is not None
    assert second is not None
    apart = (np.array(first.grid.origin_mm) - second.grid.origin_mm) / 1.5
    np.testing.assert_allclose(apart, np.rint(apart), atol=1e-9)


def test_no_bone_in_the_field_of_view(package: ModelPackage, loaded: list[str]) -> None:
    grid = axial()
    found = run(package, Volume(np.full(grid.shape, -100, np.int16), grid, Modality.CT, Unit.HU))
    assert loaded == ["bones"]
    assert found.lesions is None
    assert found.vertebrae == ()
    assert found.abstentions == ()
    assert dict(found.bones.labels) == {}
    assert found.bones.grid.same_as(grid)


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(("n_voxels", "warns"), [(100, False), (200, True)])
def test_metal_is_said(package: ModelPackage, n_voxels: int, warns: bool) -> None:
    """One voxel is 6.144 µl, so 1 ml lies between 162 and 163 voxels."""
    volume = paint(axial())
    hu = volume.array.copy()
    hu.reshape(-1)[:n_voxels] = 3000
    codes = [abstention.code for abstention in run(package, volume.with_array(hu)).abstentions]
    assert ("metal" in codes) == warns


@pytest.mark.usefixtures("loaded")
def test_ribs_are_outlined_and_not_searched(package: ModelPackage) -> None:
    """A rib with lysis, 30 mm from any other bone: it is there, nothing is asked about it, and that is said."""
    volume = paint(axial())
    xyz = volume.grid.to_xyz_mm(np.moveaxis(np.indices(volume.grid.shape), 0, -1))
    hu = volume.array.copy()
    rib = (np.abs(xyz - RIB[0]) <= np.array(RIB[1]) / 2).all(axis=-1)
    hu[rib] = hu_of(RIB_CLASS)
    hu[(np.abs(xyz - RIB[0]) <= 5).all(axis=-1)] = LYTIC_HU
    without, found = run(package, volume), run(package, volume.with_array(hu))
    assert "rib" in found.bones.present()
    assert found.lesions is not None
    assert without.lesions is not None
    at_rib = found.lesions.grid.to_ijk(RIB[0]).round().astype(int)
    assert found.lesions.probability[(slice(None), *at_rib)].max() == 0
    assert float(found.lesions.probability.max()) > 0.9
    assert [a.code for a in found.abstentions if a not in without.abstentions] == ["thorax_not_searched"]


@pytest.mark.usefixtures("loaded")
def test_progress_names_the_stage(package: ModelPackage) -> None:
    calls: list[tuple[str, int, int]] = []
    run(package, paint(axial()), progress=lambda *call: calls.append(call))
    stages = list(dict.fromkeys(stage for stage, _, _ in calls))
    assert stages == ["bones", "lesions"]
    for stage in stages:
        done = [(n, n_all) for name, n, n_all in calls if name == stage]
        assert done == [(n, len(done)) for n in range(1, len(done) + 1)]


def test_a_scan_of_another_modality(package: ModelPackage) -> None:
    volume = replace(paint(axial()), modality=Modality.MR, unit=Unit.ARBITRARY)
    with pytest.raises(ModelError, match=r"model 'toy' does not fit the scan; expected a CT scan; got MR; remedy"):
        run(package, volume)


def test_a_model_without_lesion_network(package: ModelPackage) -> None:
    description = replace(package.description, parts=package.description.parts[:1])
    with pytest.raises(
        ModelError,
        match=r"cannot analyse a scan; expected the parts bones, and lesions with near_bone_mm; got \['bones'\]",
    ):
        run(replace(package, description=description), paint(axial()))


def test_real_networks_run_end_to_end(package: ModelPackage, cache_dir: Path) -> None:
    """Untrained, so only what holds for any weights is asserted."""
    grid = Grid.from_spacing((30, 26, 20), (2.0, 2.0, 3.0))
    hu = np.random.default_rng(0).normal(0, 400, grid.shape).astype(np.int16)
    volume = Volume(hu, grid, Modality.CT, Unit.HU)
    first, again = (run_cascade(package, volume, device="cpu", cache_dir=cache_dir) for _ in range(2))
    assert first.engine.startswith("OpenVINO ")
    assert "bones: network" in first.seconds
    np.testing.assert_array_equal(first.bones.array, again.bones.array)


def sphere(grid: Grid, centre: tuple[float, float, float], radius_mm: float) -> NDArray[np.bool_]:
    xyz = grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    return np.asarray(np.linalg.norm(xyz - np.array(centre), axis=-1) <= radius_mm)


FINE = Grid.from_spacing((40, 44, 36), (1.5, 1.5, 1.5), origin_mm=(-30, -33, -27))


def test_an_instance_on_its_own_grid_is_itself() -> None:
    mask = sphere(FINE, (1.0, 2.0, -3.0), 9.0)
    block, found = instance_on_grid(mask, FINE, FINE)
    whole = np.zeros(FINE.shape, dtype=bool)
    whole[block] = found
    np.testing.assert_array_equal(whole, mask)


@pytest.mark.parametrize("spacing_mm", [(0.8, 0.8, 1.0), (0.7, 0.9, 3.0)])
@pytest.mark.parametrize("angle_deg", [0.0, 20.0])
def test_an_instance_keeps_place_and_volume(spacing_mm: tuple[float, float, float], angle_deg: float) -> None:
    a = np.deg2rad(angle_deg)
    direction = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    target = Grid.from_spacing((120, 120, 60), spacing_mm, origin_mm=(-40, -60, -50), direction=direction)
    mask = sphere(FINE, (1.0, 2.0, -3.0), 9.0)
    block, found = instance_on_grid(mask, FINE, target)
    inside = target.crop([s.start for s in block], found.shape)
    centroid = inside.to_xyz_mm(np.argwhere(found)).mean(axis=0)
    np.testing.assert_allclose(centroid, FINE.to_xyz_mm(np.argwhere(mask)).mean(axis=0), atol=0.5)
    assert found.sum() * target.voxel_volume_ml == pytest.approx(mask.sum() * FINE.voxel_volume_ml, rel=0.05)
    assert np.prod(found.shape) < np.prod(target.shape) / 3


def test_a_small_instance_is_not_lost_on_thick_slices() -> None:
    mask = np.zeros(FINE.shape, dtype=bool)
    mask[20, 20, 17:19] = True
    target = Grid.from_spacing((50, 50, 8), (1.5, 1.5, 10.0), origin_mm=(-30.7, -33.2, -30.0))
    block, found = instance_on_grid(mask, FINE, target)
    assert found.sum() == 1
    i, j, k = np.argwhere(found)[0] + [s.start for s in block]
    expected = np.rint(target.to_ijk(FINE.to_xyz_mm((20, 20, 17.5)))).tolist()
    assert [i, j, k] == expected


def test_an_instance_at_the_edge_of_the_scan_stays_inside() -> None:
    mask = np.zeros(FINE.shape, dtype=bool)
    mask[-4:, :4, :4] = True
    target = Grid.from_spacing((12, 12, 12), (2.0, 2.0, 2.0), origin_mm=(5.0, -33.0, -27.0))
    block, found = instance_on_grid(mask, FINE, target)
    assert found.any()
    assert all(0 <= s.start < s.stop <= n for s, n in zip(block, target.shape, strict=True))


def test_bone_is_where_any_bone_is_more_probable_than_none() -> None:
    """Background alone is the most probable class of the first voxel, but bone of some kind more so."""
    probability = np.array([[0.45, 0.3, 0.25], [0.5, 0.5, 0.0], [0.2, 0.1, 0.7]], dtype=np.float32).T
    assert cascade._most_probable(probability).tolist() == [1, 0, 2]
