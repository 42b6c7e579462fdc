"""Judging and calibrating a model on cases drawn by hand; the networks are played by scripts."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.pipeline.judged_model import SCRIPTS, analysis_of, drawn_case, toy_package

from osteomet.core.errors import InputError, UsageError
from osteomet.evaluation.metrics import Resampling
from osteomet.evaluation.model_cases import judged_calls
from osteomet.io.model_package import ModelPackage, Tensors, read_package
from osteomet.phantom.cohorts.case import Case
from osteomet.pipeline import train
from osteomet.pipeline.analyze import Analysis
from osteomet.pipeline.judging import model_cohort, validate
from osteomet.pipeline.judging.calibrate import calibrate_model, fit_calibration
from osteomet.pipeline.judging.model_cohort import CohortJob, open_run, run_cohort
from osteomet.pipeline.judging.validate import ValidationJob, validate_model
from osteomet.stats.platt import apply_platt, log_odds_of
from osteomet.training.recipe import read_recipe


def silent(_what: str, _done: int, _total: int) -> None: ...


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Play the phantoms and the networks; returns the numbers of the cases that were drawn."""
    numbers: list[int] = []
    monkeypatch.setattr(validate, "Resampling", lambda: Resampling(n_draws=200))

    def draw(_cohort: str, *, seed: int, number: int) -> Case:
        assert seed == 7
        numbers.append(number)
        return drawn_case(number)

    def analyse(_study: object, series: object, *_: object, **__: object) -> Analysis:
        volume = series.volume  # type: ignore[attr-defined]
        return analysis_of(SCRIPTS[numbers[-1]], volume)

    monkeypatch.setattr(model_cohort, "draw_case", draw)
    monkeypatch.setattr(model_cohort, "analyze_scan", analyse)
    return numbers


@pytest.fixture
def package(tmp_path: Path) -> ModelPackage:
    return toy_package(tmp_path / "toy")


@pytest.fixture
def perfect(drawn: list[int], monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make the model call exactly what is there."""

    def install() -> None:
        def analyse(_study: object, series: object, *_: object, **__: object) -> Analysis:
            script = SCRIPTS[drawn[-1]]
            called = tuple(replace(x, confidence=0.99) for x in script.true)
            return analysis_of(replace(script, called=called), series.volume)  # type: ignore[attr-defined]

        monkeypatch.setattr(model_cohort, "analyze_scan", analyse)

    return install


def job(tmp_path: Path, n_cases: int = 4) -> CohortJob:
    return CohortJob(n_cases, 7, "cpu", tmp_path / "cache")


def test_figures_that_can_be_counted(drawn: list[int], package: ModelPackage, tmp_path: Path) -> None:
    result = validate_model(package, tmp_path / "out", ValidationJob(job(tmp_path)), progress=silent)
    assert drawn == [0, 1, 2, 3]
    value = {name: metric.estimate.value for name, metric in result.metrics.items()}
    assert value["detection.sensitivity"] == pytest.approx(2 / 3)
    assert value["detection.fp_per_case"] == pytest.approx(0.5)
    # Confidences 0.9, 0.8 find, 0.6 and 0.3 do not: both lesions are found before the first false call.
    assert value["detection.sensitivity.at_0_125_fp"] == pytest.approx(2 / 3)
    assert value["lesion.dice.lytic"] == 1.0
    assert value["lesion.dice.sclerotic"] == 0.0
    assert value["lesion.dice.mixed"] == pytest.approx(2 * 32 / (64 + 32))
    # Found at an IoU of one half: the whole lytic one; F2 = 1. The mixed call holds exactly half.
    assert value["detection.f2.lytic"] == 1.0
    assert value["detection.pq.lytic"] == 1.0
    assert value["levels.dice"] == 0.5
    assert value["levels.named_rightly"] == 0.5
    assert value["patient.auc"] == 1.0
    assert (value["exam.stage.given"], value["exam.stage.right"]) == (0.75, 1.0)
    # Grades given are mild, none, and apparent for a single lesion of 1 ml.
    assert value["exam.grade.given"] == 0.75
    assert value["exam.grade.right"] == pytest.approx(2 / 3)
    # Calls: 0.9 and 0.8 true, 0.6 and 0.3 false, each alone in its bin.
    assert value["calibration.calls.ece"] == pytest.approx((0.1 + 0.2 + 0.6 + 0.3) / 4)
    assert value["calibration.exams.ece"] == pytest.approx((0.1 + 0.2 + 0.1 + 0.3) / 4)


@pytest.mark.usefixtures("drawn")
def test_the_package_carries_figures_charts_and_failures(package: ModelPackage, tmp_path: Path) -> None:
    result = validate_model(package, tmp_path / "out", ValidationJob(job(tmp_path)), progress=silent)
    judged = read_package(result.package)
    assert judged.description.metrics["detection.sensitivity"]["numerator"] == 2
    assert "| lesion sensitivity | 0.667" in judged.card
    assert judged.card.index("## What it was tested on") < judged.card.index("## Limitations")
    assert "case_0000: sclerotic lesion of 1.0 ml in L3 missed" in judged.card
    shown = {
        "figures/froc.png", "figures/reliability.png", "pictures/case_0000-missed.png",
        "pictures/case_0000-false.png", "pictures/case_0003-false.png", "pictures/case_0002-outline.png",
    }  # fmt: skip
    assert set(judged.pictures) == shown
    assert all(data.startswith(b"\x89PNG") for data in judged.pictures.values())
    document = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert document["model_sha256"] == package.sha256
    assert (tmp_path / "out" / "tables" / "froc.csv").is_file()


def test_a_killed_run_goes_on(drawn: list[int], package: ModelPackage, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = validate_model(package, out, ValidationJob(job(tmp_path, 2)), progress=silent)
    assert drawn == [0, 1]
    (out / "cases" / "case_0001.json").write_text('{"half": ')
    second = validate_model(package, out, ValidationJob(job(tmp_path)), progress=silent)
    assert drawn == [0, 1, 1, 2, 3]
    assert first.metrics["detection.sensitivity"].estimate.value == 0.5
    assert second.metrics["detection.sensitivity"].estimate.value == pytest.approx(2 / 3)


@pytest.mark.usefixtures("drawn")
def test_judging_a_judged_model_replaces_its_section(package: ModelPackage, tmp_path: Path) -> None:
    once = validate_model(package, tmp_path / "a", ValidationJob(job(tmp_path)), progress=silent)
    twice = validate_model(read_package(once.package), tmp_path / "b", ValidationJob(job(tmp_path)), progress=silent)
    assert (twice.package / "card.md").read_text() == (once.package / "card.md").read_text()
    assert read_package(twice.package).sha256 == read_package(once.package).sha256


def test_a_folder_of_another_model_is_refused(package: ModelPackage, tmp_path: Path) -> None:
    open_run(tmp_path / "out", package, seed=7)
    with pytest.raises(UsageError, match=r"holds something else; expected .*seed 8; got .*seed 7; remedy: choose"):
        open_run(tmp_path / "out", package, seed=8)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.txt").write_text("x")
    with pytest.raises(UsageError, match="holds something else"):
        open_run(tmp_path / "mine", package, seed=7)


def test_nothing_to_judge_on(package: ModelPackage, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to judge the model on"):
        validate_model(package, tmp_path / "out", ValidationJob(job(tmp_path, 0)), progress=silent)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("drawn")
def test_calibration_is_kept_in_the_package(package: ModelPackage, tmp_path: Path) -> None:
    folder = calibrate_model(package, tmp_path / "out", job(tmp_path), progress=silent)
    calibrated = read_package(folder)
    maps = calibrated.description.calibration
    assert maps is not None
    assert (maps.lesion.n, maps.lesion.n_positive) == (4, 2)
    assert (maps.exam.n, maps.exam.n_positive) == (4, 2)
    assert (maps.apparent.n, maps.apparent.n_positive) == (2, 0)
    assert maps.fitted_on == "4 phantoms of ct-spine, seed 7"
    assert "not calibrated" not in calibrated.card + calibrated.description.limitations
    assert set(calibrated.pictures) == {"pictures/reliability_calibration.png"}
    assert calibrated.sha256 != package.sha256
    high, low = (float(apply_platt(maps.lesion, log_odds_of(c))) for c in (0.9, 0.3))
    assert high > 0.5 > low


@pytest.mark.usefixtures("drawn")
def test_what_cannot_be_calibrated(package: ModelPackage, tmp_path: Path) -> None:
    open_run(tmp_path / "out", package, seed=7)
    found, silence, _, wrong = run_cohort(package, tmp_path / "out", job(tmp_path), progress=silent)
    with pytest.raises(InputError, match=r"finds no metastasis of the cohort.*got 0 calls in 1 cases, none of them"):
        fit_calibration([silence], fitted_on="one")
    with pytest.raises(InputError, match="got 1 calls in 2 cases, none of them right"):
        fit_calibration([silence, wrong], fitted_on="two")
    with pytest.raises(InputError, match="every case of the cohort shows a metastasis"):
        fit_calibration([found], fitted_on="one")


def test_perfect_calls_give_the_best_of_every_figure(
    package: ModelPackage, tmp_path: Path, perfect: Callable[[], None]
) -> None:
    perfect()
    result = validate_model(package, tmp_path / "out", ValidationJob(job(tmp_path, 3)), progress=silent)
    value = {name: metric.estimate.value for name, metric in result.metrics.items()}
    for name in ("detection.sensitivity", "detection.f2", "detection.pq", "lesion.dice.lytic", "lesion.dice.mixed"):
        assert value[name] == 1.0, name
    assert value["detection.fp_per_case"] == 0.0
    assert "No lesion was missed, called falsely or outlined badly." in result.text


@pytest.mark.usefixtures("drawn")
def test_numbers_of_lesions_are_those_from_a_tenth_of_a_millilitre(package: ModelPackage, tmp_path: Path) -> None:
    open_run(tmp_path / "out", package, seed=7)
    cases = run_cohort(package, tmp_path / "out", job(tmp_path), progress=silent)
    burdens = [case.reference_burden for case in cases]
    assert [(n, round(total_ml, 9)) for n, total_ml in burdens] == [(2, 2.0), (0, 0.0), (1, 1.0), (0, 0.0)]
    np.testing.assert_allclose(judged_calls(cases)[0], [0.9, 0.6, 0.8, 0.3])
    assert judged_calls(cases)[1].tolist() == [True, False, True, False]


@pytest.mark.usefixtures("drawn")
def test_a_training_ends_calibrated_and_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("N_CASES", 4), ("CALIBRATION_SEED", 7), ("VALIDATION_SEED", 7)):
        monkeypatch.setattr(train, name, value)
    recipe = read_recipe("default-ct")
    parts = tuple(
        train._describe_part(name, part, f"weights/{name}-0.safetensors") for name, part in train._parts(recipe)
    )
    weights: dict[str, Tensors] = {part.weights[0]: {"head.weight": np.ones((2, 3), np.float32)} for part in parts}
    told: list[str] = []
    folder = train._package(
        recipe,
        train._Origin("Nothing.", "osteomet train default-ct"),
        tmp_path,
        parts,
        weights,
        device="cpu",
        cache_dir=tmp_path / "cache",
        report=told.append,
    )
    package = read_package(folder)
    assert folder == tmp_path / "package"
    assert package.description.calibration is not None
    assert package.description.metrics["detection.sensitivity"]["value"] == pytest.approx(2 / 3)
    titles = [line for line in package.card.splitlines() if line.startswith("## ")]
    assert titles[-4:] == ["## Calibration", "## What it was tested on", "## Limitations", "## Licence"]
    assert set(package.pictures) >= {"pictures/reliability_calibration.png", "figures/reliability.png"}
    assert told[-1] == "phantoms 4/4"
    assert not (tmp_path / "draft").exists()
