"""Which series of a study a model reads, and what is said of the others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from osteomet.core.errors import InputError
from osteomet.core.findings import SeriesFacts
from osteomet.core.grid import Grid
from osteomet.core.lesion import Lesion
from osteomet.core.model import IntensityWindow, ModelDescription, ModelPart, NetworkSpec
from osteomet.core.vocabulary import LesionType, SequenceRole
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.inference.sequences import AlignedSequences
from osteomet.io.model_package import ModelPackage
from osteomet.io.study import Study, StudySeries
from osteomet.lesions.anatomy import Anatomy
from osteomet.pipeline import mr_lesions
from osteomet.pipeline import scan as scan_module
from osteomet.pipeline.analyze import _shown_by
from osteomet.pipeline.scan import Scan, choose_scan, default_model

GRID = Grid.from_spacing((6, 7, 8), (2.0, 2.0, 2.0))


def series(role: str, b_value: float | None = None) -> StudySeries:
    modality = Modality.CT if role == "CT" else Modality.MR
    unit = Unit.HU if role == "CT" else Unit.ARBITRARY
    volume = Volume(np.zeros(GRID.shape, np.int16), GRID, modality, unit)
    name = f"/data/of/a/patient/{role}{'' if b_value is None else f'-{b_value:g}'}"
    return StudySeries(SequenceRole(role), volume, SeriesFacts(name, role, "by its tags"), b_value)


def study(*parts: StudySeries) -> Study:
    return Study(parts, (SeriesFacts("/data/scout", None, "localizer"),), None, None)


def package(modality: Modality) -> ModelPackage:
    network = NetworkSpec("subvoxel_unet3d", 1, 2, (8,))
    part = ModelPart(
        "bones", network, (2.0,) * 3, (8,) * 3, (IntensityWindow(0, 1),), None, ("background", "bone"), ("a",)
    )
    lesions = replace(part, name="lesions")
    if modality is Modality.MR:
        t1, dwi, adc, ce = (SequenceRole(name) for name in ("T1", "DWI", "ADC", "CE"))
        part = replace(part, windows=(), sequences=((t1, dwi),))
        lesions = replace(lesions, windows=(), sequences=((t1,), (dwi,), (adc,), (ce,)))
    description = ModelDescription(
        f"toy-{modality.value.lower()}", "1", "t", modality, (part, lesions), "", "", "", "", "", {}, {}
    )
    return ModelPackage(description, {}, "", "")


@pytest.fixture
def aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contrast-enhanced images do not align, everything else does."""

    def align(volumes: dict[SequenceRole, Volume], preferred: list[SequenceRole]) -> AlignedSequences:
        first = next(role for role in preferred if role in volumes)
        kept = dict(volumes)
        kept.pop(SequenceRole.CE, None)
        left = {SequenceRole.CE: "not used beside T1: moved"} if SequenceRole.CE in volumes else {}
        return AlignedSequences(first, kept, {role: f"note on {role.value}" for role in kept}, left)

    monkeypatch.setattr(scan_module, "align_sequences", align)


def test_ct_takes_the_first_ct() -> None:
    first, second = series("CT"), series("CT")
    chosen = choose_scan(study(series("T1"), first, second), package(Modality.CT))
    assert chosen.volume is first.volume
    assert not chosen.sequences
    assert [(facts.source, facts.role) for facts in chosen.facts] == [
        ("CT", "CT"), ("T1", None), ("CT", None), ("scout", None),
    ]  # fmt: skip
    assert chosen.facts[1].reason == "by its tags; not read by this model"


@pytest.mark.usefixtures("aligned")
def test_mr_takes_every_sequence_that_it_knows_and_says_why_not_the_others() -> None:
    """The strongest diffusion weighting is taken; T2 is no input; CE does not align; CT is of another modality."""
    b800 = series("DWI", 800.0)
    given = study(series("DWI", 50.0), b800, series("T2"), series("CE"), series("CT"), series("T1"))
    chosen = choose_scan(given, package(Modality.MR))
    assert set(chosen.sequences) == {SequenceRole.T1, SequenceRole.DWI}
    assert chosen.sequences[SequenceRole.DWI] is b800.volume
    assert chosen.volume is chosen.sequences[SequenceRole.T1]
    used = [(facts.source, facts.role, facts.notes) for facts in chosen.facts if facts.role]
    assert used == [("T1", "T1", ("note on T1",)), ("DWI-800", "DWI", ("note on DWI",))]
    left = {facts.source: facts.reason for facts in chosen.facts if not facts.role}
    assert left == {
        "DWI-50": "by its tags; not read by this model",
        "T2": "by its tags; not read by this model",
        "CE": "by its tags; not used beside T1: moved",
        "CT": "by its tags; not read by this model",
        "scout": "localizer",
    }


@pytest.mark.usefixtures("aligned")
def test_what_a_classifier_reads_beside_the_model_is_not_called_left_out() -> None:
    """The model knows T1, and not the dynamic series; T2 is read by neither."""
    given = study(series("T1"), series("dynamic"), series("T2"))
    chosen = choose_scan(given, package(Modality.MR), classified=frozenset({SequenceRole.T1, SequenceRole.DYNAMIC}))
    assert set(chosen.sequences) == {SequenceRole.T1}
    assert {facts.source: (facts.role, facts.reason) for facts in chosen.facts} == {
        "T1": ("T1", "by its tags"),
        "dynamic": ("dynamic", "by its tags; read by a classifier"),
        "T2": (None, "by its tags; not read by this model"),
        "scout": (None, "localizer"),
    }


@pytest.mark.parametrize(
    ("modality", "roles", "message"),
    [
        (Modality.CT, ("T1",), r"expected CT for model 'toy-ct'; got T1 \(MR\); remedy: choose a model"),
        (Modality.MR, ("CT",), r"expected MR, T1 or DWI, for model 'toy-mr'; got CT \(CT\)"),
        (Modality.MR, ("ADC", "CE"), r"expected MR, T1 or DWI, for model 'toy-mr'; got ADC \(MR\), CE \(MR\)"),
    ],
)
def test_a_study_that_the_model_cannot_read(modality: Modality, roles: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=f"no series that the model handles; {message}"):
        choose_scan(study(*(series(role) for role in roles)), package(modality))


def test_the_model_follows_the_modality_of_the_study(tmp_path: Path) -> None:
    assert default_model(study(series("CT"), series("T1")), tmp_path) == "default-ct"
    (tmp_path / "default-mr").mkdir()
    (tmp_path / "default-mr" / "model.json").touch()
    assert default_model(study(series("T1")), tmp_path) == "default-mr"
    assert default_model(study(series("CT"), series("T1")), tmp_path) == "default-ct"


def test_a_lesion_names_the_sequences_that_show_its_place() -> None:
    """T1 spans −1 … 11 mm along x, T2 shifted by 8 mm 7 … 19 mm."""
    t1 = series("T1").volume
    beside = Grid.from_spacing(GRID.shape, GRID.spacing_mm, origin_mm=(8.0, 0.0, 0.0))
    t2 = replace(t1, grid=beside)
    both = Scan(t1, (), {SequenceRole.T1: t1, SequenceRole.T2: t2})
    assert _shown_by(both, (3.0, 5.0, 5.0)) == (SequenceRole.T1,)
    assert _shown_by(both, (9.0, 5.0, 5.0)) == (SequenceRole.T1, SequenceRole.T2)
    assert _shown_by(Scan(t1, ()), (3.0, 5.0, 5.0)) == ()


def test_a_lesion_is_graded_on_the_sequences_that_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two lesions share T1, one of them is on CE too: two calls, and the order of lesions stays."""
    calls: list[tuple[list[int], set[SequenceRole]]] = []

    def grade(lesions: list[Lesion], _i: object, _a: object, images: dict[SequenceRole, Volume]) -> tuple[Lesion, ...]:
        calls.append(([lesion.id for lesion in lesions], set(images)))
        return tuple(replace(lesion, mean_intensity=float(len(images))) for lesion in lesions)

    monkeypatch.setattr(mr_lesions, "grade_mr_lesions", grade)
    t1, ce = SequenceRole.T1, SequenceRole.CE
    axis = ((0.0, 0.0, 0.0), (5.0, 0.0, 0.0))
    lesions = [
        Lesion(n, LesionType.MARROW, "L3", None, axis[0], 5.0, 4.0, axis, 0.2, 0.0, 0.5, f"2.25.{n}", shown)
        for n, shown in ((1, (t1,)), (2, (t1, ce)), (3, (t1,)))
    ]
    bones = LabelMap(np.zeros(GRID.shape, np.uint8), GRID, {})
    volume = series("T1").volume
    none = np.zeros(GRID.shape, np.uint16)
    graded = mr_lesions.grade_where_shown(lesions, none, Anatomy(bones, ()), {t1: volume, ce: volume})
    assert [(lesion.id, lesion.mean_intensity) for lesion in graded] == [(1, 1.0), (2, 2.0), (3, 1.0)]
    assert sorted(calls, key=lambda call: call[0]) == [([1, 3], {t1}), ([2], {t1, ce})]
