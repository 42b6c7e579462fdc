"""The study of lesions from phases to its report, both methods on the same folds; and its recipe."""

import csv
import json
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import pytest
from tests.pipeline.dynamic_set import write_series

from osteomet.core.errors import UsageError
from osteomet.evaluation.metrics import Metric
from osteomet.pipeline.studies.reproduce import reproduce_study
from osteomet.pipeline.studies.study_job import StudyJob
from osteomet.radiomics.settings import RadiomicsSettings
from osteomet.training.lesion_study import LesionStudyRecipe, read_lesion_study
from osteomet.training.study_settings import ScaleName

N_PATIENTS = 12


def tiny_recipe() -> LesionStudyRecipe:
    study = read_lesion_study("wangh2024")
    settings = dict(study.scales["smoke"].settings)
    settings["signature"] = settings["signature"] | {"n_resamples": 2}
    settings["classifier"] = settings["classifier"] | {"n_steps": 10}
    smoke = replace(study.scales["smoke"], n_bootstrap=50, settings=settings)
    signature = replace(study.signature, n_penalties=5, n_inner_folds=3)
    return replace(
        study,
        maps=("wash_in_per_s", "peak_enhancement"),
        radiomics=RadiomicsSettings(bin_count=8, log_sigmas_mm=(), wavelet="none"),
        signature=signature,
        n_explained=1,
        scales={**study.scales, "smoke": smoke},
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def ignore(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Study:
    data: Path
    out: Path
    metrics: dict[str, Metric]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("lesion_study")
    data, out = write_series(folder / "series", n_patients=N_PATIENTS), folder / "out"
    metrics = reproduce_study(StudyJob(tiny_recipe(), out, data, "smoke", "cpu"), tell=ignore)
    return Study(data, out, metrics)


def test_both_methods_have_the_same_folds(study: Study) -> None:
    tables = [rows(study.out / method / "tables" / "folds.csv") for method in ("signature", "classifier")]
    dealt = [{(row["case"], row["lesion"]): row["fold"] for row in table if row["repeat"] == "1"} for table in tables]
    assert len(dealt[0]) == N_PATIENTS
    assert dealt[0] == dealt[1]
    for table in tables:
        assert len({(row["repeat"], row["patient"], row["fold"]) for row in table}) == len(table)  # one lesion each


def test_features_of_every_map_are_candidates(study: Study) -> None:
    names = [row["feature"] for row in rows(study.out / "signature" / "tables" / "features.csv")]
    assert len(names) == 2 * 107
    assert names[0].startswith("wash_in_per_s_original_")
    assert names[107] == names[0].replace("wash_in_per_s", "peak_enhancement")


def test_a_signature_tells_what_enhances_fast(study: Study) -> None:
    area = study.metrics["radiomics/classification.auc.metastasis"].estimate
    assert area.value is not None
    assert area.value > 0.9


def test_the_report_has_the_table_of_the_paper_and_both_curves(study: Study) -> None:
    table = {row["Model"]: row for row in rows(study.out / "tables" / "wangh2024_table3_study.csv")}
    assert table["Inception-ResNet, published"]["AUC (%)"] == "97.86"
    for title, method in (("Inception-ResNet, ours", "Inception-ResNet"), ("Radiomics model, ours", "radiomics")):
        value = study.metrics[f"{method}/classification.accuracy.metastasis"].estimate.value
        assert value is not None
        assert table[title]["ACC (%)"].startswith(f"{100 * value:.1f} (")
    compared = rows(study.out / "tables" / "classifier_comparisons.csv")
    assert {row["test"] for row in compared} >= {"DeLong"}
    page = (study.out / "report.html").read_text(encoding="utf-8")
    assert "Scale smoke" in page
    assert "Simulated images" not in page
    links = sorted(study.out.glob("evaluation/*/report.html"))
    assert len(links) == 1
    assert "Scale smoke" in links[0].read_text(encoding="utf-8")
    explained = rows(study.out / "tables" / "explanations.csv")
    assert sorted(row["reference"] for row in explained) == ["metastasis", "primary"]
    assert {"roc.svg", "explanations.svg"} <= {path.name for path in (study.out / "figures").iterdir()}


def test_a_second_run_takes_what_is_there(study: Study) -> None:
    signature = study.out / "signature" / "signature.json"
    written = signature.stat().st_mtime_ns
    again = reproduce_study(StudyJob(tiny_recipe(), study.out, study.data, "smoke", "cpu"), tell=ignore)
    assert signature.stat().st_mtime_ns == written
    assert {name: m.as_json() for name, m in again.items()} == {n: m.as_json() for n, m in study.metrics.items()}
    figures = json.loads((study.out / "metrics.json").read_text(encoding="utf-8"))["metrics"]
    assert set(figures) == set(again)


@pytest.mark.parametrize("scale", ["smoke", "small", "full"])
def test_the_shipped_recipe_holds_at_every_scale(scale: ScaleName) -> None:
    scaled = read_lesion_study("wangh2024").scaled(scale)
    assert scaled.signature.n_folds == scaled.classifier.n_folds
    assert scaled.networks.channels == ("wash_in_per_s", "wash_out_per_s", "peak_enhancement")
    if scale == "full":
        assert (scaled.classifier.width, scaled.classifier.blocks) == (1.0, (5, 10, 5))
        assert scaled.signature.n_candidates == 10


def test_methods_that_are_not_judged_alike_are_refused(tmp_path: Path) -> None:
    text = (resources.files("osteomet") / "recipes" / "wangh2024.toml").read_text(encoding="utf-8")
    other = tmp_path / "mine.toml"
    other.write_text(text.replace("n_inner_folds = 10\nseed = 20241", "n_inner_folds = 10\nseed = 7"))
    with pytest.raises(UsageError, match=r"classifier.seed.*7, as signature.seed.*got 20241"):
        read_lesion_study(str(other))
    other.write_text(text.replace("squeeze", "x").replace("width = 1.0", "breadth = 1.0"))
    with pytest.raises(UsageError, match="wrong key; got classifier"):
        read_lesion_study(str(other))
