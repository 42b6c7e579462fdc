"""The same body in any file format and on any grid gives the same lesions."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import PLANTED, reordered

from osteomet.core.lesion import Lesion
from osteomet.core.volume import Volume
from osteomet.io.dicom_writer import write_ct_series
from osteomet.io.formats import write_volume
from osteomet.io.model_package import ModelPackage, find_package, read_package
from osteomet.io.study import read_study
from osteomet.phantom.ct.rendering import CtPhantom
from osteomet.pipeline.analyze import analyze_scan
from osteomet.pipeline.scan import choose_scan

Analyse = Callable[[Path], tuple[Lesion, ...]]


@pytest.fixture(scope="module")
def package() -> ModelPackage:
    return read_package(find_package("default-ct"))


@pytest.fixture(scope="module")
def analyse(package: ModelPackage, cache_home: Path) -> Iterator[Analyse]:
    """Lesions of a study; a scan that reads as the very same array on the very same grid is analysed once."""
    known: dict[tuple[bytes, bytes, tuple[int, ...]], tuple[Lesion, ...]] = {}

    def run(path: Path) -> tuple[Lesion, ...]:
        study = read_study([path], sequences={})
        (series,) = study.series
        volume = series.volume
        key = (volume.array.tobytes(), np.round(volume.grid.affine, 6).tobytes(), volume.grid.shape)
        if key not in known:
            scan = choose_scan(study, package)
            found = analyze_scan(study, scan, package, device="cpu", cache_dir=cache_home / "osteomet")
            known[key] = found.findings.lesions
        return known[key]

    yield run
    assert len(known) <= 5, "formats that hold the same voxels must read as the same volume"


@pytest.fixture(scope="module")
def reference(axial: CtPhantom, analyse: Analyse, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lesion, ...]:
    path = tmp_path_factory.mktemp("reference") / "scan.nii.gz"
    write_volume(axial.volume, path)
    return analyse(path)


def check_same(found: tuple[Lesion, ...], expected: tuple[Lesion, ...]) -> None:
    assert [(x.site, x.subsite, x.type) for x in found] == [(x.site, x.subsite, x.type) for x in expected]
    for x, y in zip(found, expected, strict=True):
        assert np.linalg.norm(np.subtract(x.centroid_xyz_mm, y.centroid_xyz_mm)) < 1.0
        assert x.volume_ml == pytest.approx(y.volume_ml, rel=0.02)


def planted(found: tuple[Lesion, ...], axial: CtPhantom) -> tuple[Lesion, ...]:
    """The calls that are the planted lesions, one for each, without what the model calls beside them."""
    grid, nearest = axial.volume.grid, []
    for number in range(1, len(PLANTED) + 1):
        centre = grid.to_xyz_mm(np.argwhere(axial.truth.lesions == number)).mean(axis=0)
        nearest.append(min(found, key=lambda x: float(np.linalg.norm(np.subtract(x.centroid_xyz_mm, centre)))))
        assert np.linalg.norm(np.subtract(nearest[-1].centroid_xyz_mm, centre)) < 3.0
    return tuple(nearest)


def test_the_planted_lesions_are_found(reference: tuple[Lesion, ...], axial: CtPhantom) -> None:
    """The embedded network outlines them half a voxel of its grid too large: 1.4 times a ball of 13 mm."""
    found = planted(reference, axial)
    assert [x.site for x in found] == list(PLANTED)
    for number, lesion in enumerate(found, start=1):
        truth_ml = np.count_nonzero(axial.truth.lesions == number) * axial.volume.grid.voxel_volume_ml
        assert lesion.volume_ml == pytest.approx(truth_ml, rel=0.6)


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_file_formats(
    suffix: str, axial: CtPhantom, analyse: Analyse, reference: tuple[Lesion, ...], tmp_path: Path
) -> None:
    write_volume(axial.volume, tmp_path / f"scan{suffix}")
    check_same(analyse(tmp_path / f"scan{suffix}"), reference)


# Array axis k is across slices: axial is i left, j posterior, k superior.
AS_DICOM: dict[str, Callable[[Volume], Volume]] = {
    "axial": lambda volume: volume,
    "sagittal": lambda volume: reordered(volume, order=(1, 2, 0), flips=(1,)),
    "coronal": lambda volume: reordered(volume, order=(0, 2, 1), flips=(1,)),
}


@pytest.mark.parametrize("plane", AS_DICOM)
def test_dicom_planes(
    plane: str, axial: CtPhantom, analyse: Analyse, reference: tuple[Lesion, ...], tmp_path: Path
) -> None:
    volume = AS_DICOM[plane](axial.volume)
    write_ct_series(volume, tmp_path / "dicom", rng=np.random.default_rng(1))
    check_same(analyse(tmp_path / "dicom"), reference)


def test_negated_axes(axial: CtPhantom, analyse: Analyse, reference: tuple[Lesion, ...], tmp_path: Path) -> None:
    write_volume(reordered(axial.volume, order=(0, 1, 2), flips=(0, 1, 2)), tmp_path / "scan.nii.gz")
    check_same(analyse(tmp_path / "scan.nii.gz"), reference)


@pytest.fixture(scope="module")
def turned(oblique: CtPhantom, analyse: Analyse, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lesion, ...]:
    """Rendered on the turned grid, not interpolated: what differs is only what the pipeline does with it."""
    path = tmp_path_factory.mktemp("oblique") / "scan.nrrd"
    write_volume(oblique.volume, path)
    return analyse(path)


def test_oblique_finds_the_same_lesions_at_the_same_places(
    turned: tuple[Lesion, ...], reference: tuple[Lesion, ...], axial: CtPhantom
) -> None:
    """The planted ones: whether a false call beside them just reaches the threshold may hang on interpolation."""
    for x, y in zip(planted(turned, axial), planted(reference, axial), strict=True):
        assert (x.site, x.subsite, x.type) == (y.site, y.subsite, y.type)
        assert np.linalg.norm(np.subtract(x.centroid_xyz_mm, y.centroid_xyz_mm)) < 1.5


@pytest.mark.xfail(
    strict=True, reason="the embedded network outlines the turned lesion 16 % smaller (1.31 ml for 1.56)"
)
def test_oblique_gives_the_same_volumes(
    turned: tuple[Lesion, ...], reference: tuple[Lesion, ...], axial: CtPhantom
) -> None:
    check_same(planted(turned, axial), planted(reference, axial))
