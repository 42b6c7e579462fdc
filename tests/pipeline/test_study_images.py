"""Images of a study for packages that classify, and what these say of lesions and of an exam drawn by hand."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.core.test_lesion import LESION
from tests.image.spine_blocks import block_spine, upright

from osteomet.core.classification import ClassifierKind, ClassifierUse
from osteomet.core.errors import InputError, ModelError
from osteomet.core.exam_map import Scale, Straighten
from osteomet.core.findings import Exam, Findings, Provenance, SeriesFacts, StudyFacts
from osteomet.core.grader import GraderPart, ResidualNet
from osteomet.core.grid import Grid
from osteomet.core.lesion import Lesion
from osteomet.core.model import ModelDescription
from osteomet.core.signature import Signature, SignatureTerm
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.io.formats import write_labels, write_volume
from osteomet.io.model_package import read_package, write_package
from osteomet.io.signature_file import SignaturePackage
from osteomet.io.study import Study, StudySeries, read_study
from osteomet.nn.graders import build_part
from osteomet.phantom.cohorts.draw import draw_patient
from osteomet.pipeline.dynamic_maps import MAPS, MapSettings, make_maps
from osteomet.pipeline.grade import grade_folder
from osteomet.pipeline.phantom_dicom import write_studies
from osteomet.pipeline.scan import Scan
from osteomet.pipeline.study_classes import classify_findings
from osteomet.pipeline.study_classifiers import StudyClassifier, read_classifier, signature_features
from osteomet.pipeline.study_images import gather_images, roles_of
from osteomet.radiomics.settings import RadiomicsSettings

T1, DWI, DYNAMIC = SequenceRole.T1, SequenceRole.DWI, SequenceRole.DYNAMIC
GRID = Grid.from_spacing((20, 18, 12), (2.0, 2.0, 3.0), origin_mm=(-20.0, -15.0, 40.0))
PLAIN = {"log_sigmas_mm": [], "wavelet": "none"}
MEAN = "original_firstorder_Mean"


def ignore(*_: object) -> None:
    pass


def image(grid: Grid = GRID, seed: int = 0) -> Volume:
    """Noise about 100."""
    values = np.random.default_rng(seed).normal(100, 10, grid.shape)
    return Volume(values.astype(np.float32), grid, Modality.MR, Unit.ARBITRARY)


def series(role: SequenceRole, volume: Volume, **facts: float) -> StudySeries:
    return StudySeries(role, volume, SeriesFacts(role.value, role.value, "by its tags"), **facts)  # type: ignore[arg-type]


def study(*parts: StudySeries) -> Study:
    return Study(parts, (), None, None)


def signature(*features: str, image: str | None = None) -> StudyClassifier:
    """Rad-score: a tenth of how far the first feature lies above 100; the others do not count."""
    terms = tuple(SignatureTerm(name, 100.0, 10.0, float(n == 0)) for n, name in enumerate(features))
    made = Signature("toy", ("metastasis", "primary"), terms, 0.0, 1.0, 0.5, PLAIN, {}, {}, image)
    images = signature_features(made).images
    use = ClassifierUse(ClassifierKind.SIGNATURE, "toy", "1", "ab" * 32, made.classes, images)
    return StudyClassifier(use, SignaturePackage(made, "ab" * 32))


def test_features_name_their_images() -> None:
    found = signature_features(
        signature("wash_in_per_s_original_glcm_Idm", "peak_enhancement_original_shape_Sphericity").package.signature  # type: ignore[union-attr]
    )
    assert found.images == ("wash_in_per_s", "peak_enhancement")
    assert found.sources["wash_in_per_s_original_glcm_Idm"] == ("wash_in_per_s", "original_glcm_Idm")
    assert found.settings == RadiomicsSettings(log_sigmas_mm=(), wavelet="none")
    with pytest.raises(ModelError, match="do not give; got T1_wavelet-LLH_glcm_Idm"):
        signature("T1_wavelet-LLH_glcm_Idm")


def test_images_are_found_by_role() -> None:
    """Names may be in lower case; of two diffusion weightings the strongest counts, and a moved one is put in place."""
    scan = Scan(image(), (), {T1: image()})
    scan = replace(scan, volume=scan.sequences[T1])
    weak, strong = image(seed=1), scan.volume.with_array(scan.volume.array * 2)
    given = study(
        series(T1, scan.volume), series(DWI, weak, b_value_s_per_mm2=50), series(DWI, strong, b_value_s_per_mm2=800)
    )
    one = signature(f"t1_{MEAN}", f"DWI_{MEAN}")
    assert roles_of([one]) == {T1, DWI}
    found = gather_images([one], given, scan)
    assert found["t1"] is scan.volume
    np.testing.assert_array_equal(found["DWI"].array, strong.array)


def test_what_lies_elsewhere_or_shows_nothing_is_refused() -> None:
    scan = Scan(image(), (), {})
    scan = replace(scan, sequences={T1: scan.volume})
    away = image(Grid.from_spacing(GRID.shape, GRID.spacing_mm, origin_mm=(980.0, 0.0, 0.0)))
    one = signature(f"DWI_{MEAN}")
    with pytest.raises(InputError, match="needs DWI, which cannot be put in place on T1; got not used beside T1"):
        gather_images([one], study(series(T1, scan.volume), series(DWI, away)), scan)
    flat = replace(scan, sequences={T1: scan.volume, DWI: scan.volume.with_array(np.full(GRID.shape, 7.0, np.float32))})
    with pytest.raises(InputError, match="“DWI” that a classifier needs has the same value everywhere; got 7"):
        gather_images([one], study(series(T1, scan.volume), series(DWI, away)), flat)


@pytest.fixture(scope="module")
def dynamic(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Sequence[Volume], Sequence[float]]:
    """A dynamic phantom as DICOM, read again; and what was drawn."""
    case = draw_patient("ce-dynamic", seed=3, number=0, coarse=4.0).cases[0]
    (folder,) = write_studies([case], tmp_path_factory.mktemp("dicom"), np.random.default_rng(0))
    times = [one.time_s for one in case.images if one.time_s is not None]
    return read_study([folder], sequences={}), [one.volume for one in case.images], times


def test_maps_of_a_dicom_series_are_those_of_its_phases(
    dynamic: tuple[Study, Sequence[Volume], Sequence[float]],
) -> None:
    found, phases, times = dynamic
    assert [one.time_s for one in found.series] == pytest.approx(times)
    first = found.series[0].volume
    scan = Scan(first, (), {T1: first})
    one = signature(*(f"{name}_{MEAN}" for name in MAPS))
    assert roles_of([one]) == {DYNAMIC}
    maps = gather_images([one], found, scan)
    expected = make_maps(phases, times, MapSettings()).maps
    for name in MAPS:
        np.testing.assert_allclose(maps[name].array, expected[name].array, rtol=1e-3, atol=1e-4)
        moved = maps[name].grid.corners_xyz_mm() - first.grid.corners_xyz_mm()
        assert np.abs(moved).max() < 0.5


def test_phases_without_times_are_refused(dynamic: tuple[Study, Sequence[Volume], Sequence[float]]) -> None:
    found = replace(dynamic[0], series=tuple(replace(one, time_s=None) for one in dynamic[0].series))
    first = found.series[0].volume
    with pytest.raises(InputError, match="nothing says when its phases were taken"):
        gather_images([signature(f"area_s_{MEAN}")], found, Scan(first, (), {T1: first}))


@dataclass(frozen=True)
class Drawn:
    """Findings with lesions, and their map."""

    findings: Findings
    lesions: LabelMap


def drawn(array: NDArray[np.uint8]) -> Drawn:
    ids = [int(v) for v in np.unique(array) if v]
    lesions: list[Lesion] = []
    for number in ids:
        x, y, z = GRID.to_xyz_mm(np.argwhere(array == number)).mean(axis=0).tolist()
        lesions.append(replace(LESION, id=number, centroid_xyz_mm=(x, y, z)))
    findings = Findings(
        StudyFacts(None, None, ()),
        Exam(None, None, None),
        (),
        tuple(lesions),
        Provenance("osteomet", "0", "toy", "0" * 64, "none", {}, (), "2026-01-01"),
    )
    return Drawn(findings, LabelMap(array, GRID, {f"lesion_{n}": n for n in ids}))


def test_lesions_inside_outside_and_too_small_for_a_feature() -> None:
    """A box of 120 has a Rad-score of 2; one voxel has no elongation; a third lies beyond the image."""
    array = np.zeros(GRID.shape, dtype=np.uint8)
    array[4:8, 4:8, 3:6], array[12, 12, 3], array[4:8, 4:8, 9:11] = 1, 2, 3
    values = np.full(GRID.shape, 100.0, np.float32)
    values[array == 1] = 120.0
    shown = Volume(values[:, :, :8], GRID.crop((0, 0, 0), (20, 18, 8)), Modality.MR, Unit.ARBITRARY)
    values_of = drawn(array)
    one = signature(MEAN, "original_shape_Elongation", image="T1")
    found = classify_findings(
        values_of.findings, [one], {"T1": shown}, lesions=values_of.lesions, bones=values_of.lesions, device="cpu",
        progress=ignore,
    )  # fmt: skip
    box, single, beyond = (lesion.classifications[0] for lesion in found.lesions)
    p = 1 / (1 + np.exp(-2))
    assert box.probabilities == pytest.approx({"metastasis": p, "primary": 1 - p}, abs=6e-5)
    assert box.prediction == "metastasis"
    assert single.probabilities is None
    assert single.note == "not computed: original_shape_Elongation"
    assert beyond.note == "the lesion lies outside of what T1 shows"
    assert found.provenance.classifiers == (one.use,)


def test_a_lesion_keeps_its_volume_on_a_coarser_image() -> None:
    """Mean of a ramp over a box is its middle, also on voxels eight times as large."""
    array = np.zeros(GRID.shape, dtype=np.uint8)
    array[6:12, 6:12, 4:8] = 1
    coarse = GRID.with_spacing((4.0, 4.0, 6.0))
    ramp = coarse.to_xyz_mm(np.moveaxis(np.indices(coarse.shape), 0, -1))[..., 0]
    middle = GRID.to_xyz_mm(np.argwhere(array > 0)).mean(axis=0)[0]
    values_of = drawn(array)
    found = classify_findings(
        values_of.findings, [signature(MEAN, image="T1")],
        {"T1": Volume((ramp - middle + 100).astype(np.float32), coarse, Modality.MR, Unit.ARBITRARY)},
        lesions=values_of.lesions, bones=values_of.lesions, device="cpu", progress=ignore,
    )  # fmt: skip
    shares = found.lesions[0].classifications[0].probabilities
    assert shares is not None
    assert shares == {"metastasis": 0.5, "primary": 0.5}


SPINE = Grid.from_spacing((12, 50, 84), (5.0, 2.5, 2.5), origin_mm=(-27.5, -65.0, -188.0))


@pytest.fixture(scope="module")
def grader(tmp_path_factory: pytest.TempPathFactory) -> StudyClassifier:
    """Two residual networks with first weights."""
    steps = (Straighten("straighten", 48, 24, 4.0, 52.0, 2, 16.0), Scale("scale", "z-score"))
    files = ("weights/0.safetensors", "weights/1.safetensors")
    part = GraderPart(
        ResidualNet("residual network", (8, 16), 0.0), ("T1", "T2"), steps, ("none", "mild", "apparent"), files
    )
    torch.manual_seed(1)
    weights = {file: {k: v.numpy() for k, v in build_part(part).state_dict().items()} for file in files}
    description = ModelDescription(
        "toy-grader", "3", "grade", Modality.MR, (), "none", "none", "tests", "all", "Apache-2.0", {}, {}, grader=part
    )
    folder = tmp_path_factory.mktemp("grader") / "package"
    write_package(description, weights, card="", folder=folder)
    return read_classifier(str(folder), imported=None)


def exam(bones: LabelMap, images: dict[str, Volume], grader: StudyClassifier) -> Findings:
    nothing = drawn(np.zeros(GRID.shape, dtype=np.uint8))
    return classify_findings(
        nothing.findings, [grader], images, lesions=nothing.lesions, bones=bones, device="cpu", progress=ignore
    )


def test_an_exam_has_the_grade_that_predict_gives_it(grader: StudyClassifier, tmp_path: Path) -> None:
    bones, rng = block_spine(SPINE, upright()), np.random.default_rng(4)
    first = np.where(bones.array > 0, 300.0, 120.0) + rng.normal(0, 20, SPINE.shape)
    images = {
        name: Volume(values.astype(np.float32), SPINE, Modality.MR, Unit.ARBITRARY)
        for name, values in (("T1", first), ("T2", 400 - first + rng.normal(0, 20, SPINE.shape)))
    }
    (tmp_path / "new" / "bones").mkdir(parents=True)
    for number, one in enumerate(images.values()):
        write_volume(one, tmp_path / "new" / f"c_{number:04d}.nii.gz")
    write_labels(bones, tmp_path / "new" / "bones" / "c.nii.gz")
    (tmp_path / "new" / "bones" / "labels.json").write_text(json.dumps(dict(bones.labels)))
    package = read_package(Path(_folder(grader, tmp_path)))
    grade_folder(package, tmp_path / "new", tmp_path / "out", device="cpu", progress=ignore)
    expected = json.loads((tmp_path / "out" / "c.json").read_text())
    (found,) = exam(bones, images, grader).exam.gradings
    assert (found.kind, found.package, found.version) == (ClassifierKind.GRADER, "toy-grader", "3")
    assert found.prediction == expected["grade"]
    assert found.probabilities == pytest.approx(expected["probabilities"], abs=6e-5)


def _folder(grader: StudyClassifier, tmp_path: Path) -> Path:
    """Write the package of a grader again."""
    package = grader.package
    assert not isinstance(package, SignaturePackage)
    write_package(package.description, package.weights, card="", folder=tmp_path / "again")
    return tmp_path / "again"


def test_a_spine_without_a_canal_has_no_grade_and_the_reason(grader: StudyClassifier) -> None:
    bones = LabelMap(np.zeros(SPINE.shape, np.uint8), SPINE, {"L1": 20})
    (found,) = exam(bones, {"T1": image(SPINE), "T2": image(SPINE, 1)}, grader).exam.gradings
    assert (found.prediction, found.probabilities) == (None, None)
    assert found.note.startswith("no vertebral canal was found in the bone map")
