"""A signature by command: images to features, features to a signature, a signature to Rad-scores with their drivers."""

import csv
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import Osteomet, run_main

from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.evaluation.classified_cases import TUMOUR_ORIGINS, read_classified
from osteomet.io.formats import write_labels, write_volume
from osteomet.io.signature_file import read_signature
from osteomet.phantom.cohorts.draw import draw_patient
from osteomet.pipeline import synth
from osteomet.stats.roc import auc

RECIPE = "n_folds = 4\nn_repeats = 2\nn_inner_folds = 3\nn_penalties = 10\nn_resamples = 5\n"
N_CASES = 24


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_tables(folder: Path, *, with_settings: bool = True) -> None:
    """Twelve features of 24 lesions; ``f3`` tells the classes apart, ``f5`` has a hole, ``f7`` is constant."""
    rng = np.random.default_rng(3)
    truth = np.arange(N_CASES) % 2 == 0
    values = rng.standard_normal((N_CASES, 12))
    values[:, 3] = 100 + 10 * (values[:, 3] + 4 * truth)
    values[:, 7] = 1.0
    with (folder / "features.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("case", "lesion", *(f"f{n}" for n in range(12))))
        for case, row in enumerate(values.tolist()):
            writer.writerow((f"c{case}", 1, *("" if (case, n) == (4, 5) else v for n, v in enumerate(row))))
    names = ["metastasis" if t else "primary bone tumour" for t in truth]
    lines = [f"c{case},p{case},{name}" for case, name in enumerate(names)]
    (folder / "cases.csv").write_text("\n".join(["case,patient,diagnosis", *lines]) + "\n")
    (folder / "recipe.toml").write_text(RECIPE)
    if with_settings:
        (folder / "features.json").write_text('{"settings": {"bin_width": 25.0, "distances": [1]}}')


def fit(folder: Path, *more: object) -> tuple[object, ...]:
    """Arguments of a fit of those tables."""
    tables = ("--features", folder / "features.csv", "--labels", folder / "cases.csv")
    return ("radiomics", "fit", *tables, "--settings", folder / "recipe.toml", "--out", folder / "fitted", *more)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables and the signature fitted to them."""
    folder = tmp_path_factory.mktemp("study")
    write_tables(folder)
    assert run_main(*fit(folder)) == 0
    return folder


def test_the_signature_keeps_what_tells_the_classes_apart(study: Path) -> None:
    signature = read_signature(study / "fitted").signature
    values = np.array([float(row["f3"]) for row in rows(study / "features.csv")])
    (term,) = (term for term in signature.terms if term.feature == "f3")
    assert term.centre == pytest.approx(values.mean())
    assert term.scale == pytest.approx(values.std())
    assert term.coefficient == max(t.coefficient for t in signature.terms) > 0
    assert signature.classes == ("metastasis", "primary")
    assert signature.prevalence == 0.5
    assert signature.extraction == {"bin_width": 25.0, "distances": [1]}
    assert signature.training["n_of_class"] == {"metastasis": 12, "primary": 12}
    assert signature.training["recipe"]["n_folds"] == 4


def test_features_that_cannot_be_used_are_left_out_with_the_reason(study: Path) -> None:
    table = {row["feature"]: row for row in rows(study / "fitted" / "tables" / "features.csv")}
    assert len(table) == 12
    assert table["f5"]["left_out"] == "not computed for 1 lesions, such as lesion 1 of case c4"
    assert table["f5"]["chosen_share"] == ""
    assert (table["f7"]["left_out"], table["f7"]["chosen_share"]) == ("", "0.0")  # constant: never chosen
    assert float(table["f3"]["kept_share"]) == 1.0


def test_every_figure_of_the_fit_follows_from_its_tables(study: Path) -> None:
    metrics = json.loads((study / "fitted" / "metrics.json").read_text())["metrics"]
    folds = rows(study / "fitted" / "tables" / "folds.csv")
    assert len(folds) == 2 * N_CASES
    areas = []
    for repeat in ("1", "2"):
        own = [row for row in folds if row["repeat"] == repeat]
        truth = [row["reference"] == "metastasis" for row in own]
        areas.append(auc([float(row["probability_metastasis"]) for row in own], truth).value)
        assert {row["fold"] for row in own} == {"1", "2", "3", "4"}
    assert metrics["cross_validation.auc"]["value"] == pytest.approx(np.mean([a for a in areas if a is not None]))
    cases = read_classified(study / "fitted" / "out_of_fold.csv", TUMOUR_ORIGINS)
    right = sum(p == r for p, r in zip(cases.prediction, cases.reference, strict=True))
    assert metrics["classification.accuracy"]["numerator"] == right
    assert metrics["classification.auc.metastasis"]["low"] > 0.7
    path = rows(study / "fitted" / "tables" / "lasso_path.csv")
    (chosen,) = (row for row in path if row["chosen"] == "True")
    assert float(chosen["deviance"]) == min(float(row["deviance"]) for row in path)
    assert path[0]["n_kept"] == "0"
    assert float(path[0]["deviance"]) == pytest.approx(2 * np.log(2))  # nobody knows anything there
    coefficients = rows(study / "fitted" / "tables" / "coefficients.csv")
    assert all(chosen[row["feature"]] == row["coefficient"] for row in coefficients)


def test_figures_are_there(study: Path) -> None:
    names = {path.name for path in (study / "fitted" / "figures").iterdir()}
    for figure in ("coefficients", "lasso_path", "lasso_deviance", "roc", "calibration"):
        assert {f"{figure}.png", f"{figure}.svg"} <= names


def test_the_protocol_of_the_study_reads_the_predictions_and_sets_two_models_on_one_plot(
    study: Path, tmp_path: Path, osteomet: Osteomet
) -> None:
    table = study / "fitted" / "out_of_fold.csv"
    network = tmp_path / "network.csv"
    network.write_text(table.read_text())
    outcome = osteomet(
        "evaluate", "--protocol", "wangh2024", "--table", table, "--against", network, "--out", tmp_path / "evaluated"
    )
    assert outcome.code == 0, outcome.err
    metrics = json.loads((tmp_path / "evaluated" / "metrics.json").read_text())["metrics"]
    assert metrics["against.classification.accuracy"] == metrics["classification.accuracy"]
    assert (tmp_path / "evaluated" / "figures" / "roc.svg").is_file()


def predict(folder: Path, out: Path, *more: object) -> tuple[object, ...]:
    """Arguments of a prediction."""
    tables = ("--model", folder / "fitted", "--features", folder / "features.csv")
    return ("radiomics", "predict", *tables, "--out", out, *more)


def test_drivers_add_up_to_the_rad_score(study: Path, tmp_path: Path, osteomet: Osteomet) -> None:
    outcome = osteomet(*predict(study, tmp_path / "scores.csv", "--json"))
    assert outcome.code == 0, outcome.err
    printed: dict[str, Any] = json.loads(outcome.out)
    signature = read_signature(study / "fitted").signature
    values = rows(study / "features.csv")
    assert len(printed["lesions"]) == N_CASES
    for lesion, row, written in zip(printed["lesions"], values, rows(tmp_path / "scores.csv"), strict=True):
        by_hand = {
            term.feature: term.coefficient * (float(row[term.feature]) - term.centre) / term.scale
            for term in signature.terms
        }
        drivers = {driver["feature"]: driver["contribution"] for driver in lesion["drivers"]}
        assert drivers == pytest.approx(by_hand)
        assert list(drivers) == sorted(drivers, key=lambda name: -abs(drivers[name]))
        assert lesion["rad_score"] == pytest.approx(sum(by_hand.values()))
        logit = signature.intercept + signature.slope * lesion["rad_score"]
        assert lesion["probabilities"]["metastasis"] == pytest.approx(1 / (1 + np.exp(-logit)))
        assert sum(lesion["probabilities"].values()) == pytest.approx(1.0)
        assert float(written["rad_score"]) == lesion["rad_score"]
        assert float(written["contribution_f3"]) == drivers["f3"]
        assert written["prediction"] == lesion["prediction"]
    beside = json.loads((tmp_path / "scores.json").read_text())
    assert beside["settings_checked"] is True
    assert beside["signature"]["sha256"] == read_signature(study / "fitted").sha256


def test_a_lesion_that_lacks_a_feature_has_no_score_and_says_why(
    study: Path, tmp_path: Path, osteomet: Osteomet
) -> None:
    names = [term.feature for term in read_signature(study / "fitted").signature.terms]
    features = tmp_path / "new.csv"
    cells = ["" if name == "f3" else "1.0" for name in names]
    features.write_text(f"case,lesion,{','.join(names)}\nx,1,{','.join(cells)}\n")
    outcome = osteomet(
        "radiomics", "predict", "--model", study / "fitted", "--features", features, "--out", tmp_path / "scores.csv"
    )
    assert outcome.code == 0
    assert "1 lesions, 1 without a prediction" in outcome.out
    assert "could not be compared" in outcome.err
    (row,) = rows(tmp_path / "scores.csv")
    assert (row["rad_score"], row["prediction"], row["note"]) == ("", "", "not computed: f3")


def test_features_of_other_settings_are_refused(study: Path, tmp_path: Path, osteomet: Osteomet) -> None:
    write_tables(tmp_path, with_settings=False)
    (tmp_path / "features.json").write_text('{"settings": {"bin_width": 10.0, "distances": [1]}}')
    out = tmp_path / "scores.csv"
    outcome = osteomet(
        *("radiomics", "predict", "--model", study / "fitted", "--features", tmp_path / "features.csv", "--out", out)
    )
    assert outcome.code == 4
    assert "features of other settings; expected bin_width = 25.0; got bin_width = 10.0; remedy" in outcome.err
    assert not out.exists()


def test_a_changed_signature_is_refused(study: Path, tmp_path: Path, osteomet: Osteomet) -> None:
    text = (study / "fitted" / "signature.json").read_text()
    (tmp_path / "signature.json").write_text(text.replace('"slope": ', '"slope": 1'))
    features, out = study / "features.csv", tmp_path / "scores.csv"
    outcome = osteomet("radiomics", "predict", "--model", tmp_path, "--features", features, "--out", out)
    assert outcome.code == 4
    assert "damaged or was changed" in outcome.err
    assert not out.exists()


def test_an_existing_folder_or_file_is_not_replaced(study: Path, tmp_path: Path, osteomet: Osteomet) -> None:
    assert osteomet(*fit(study)).code == 2
    (tmp_path / "scores.csv").write_text("mine")
    assert osteomet(*predict(study, tmp_path / "scores.csv")).code == 2
    assert (tmp_path / "scores.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("file", "old", "new", "code", "message"),
    [
        ("cases.csv", "c7,p7,primary bone tumour\n", "", 3, "no row for case “c7”"),
        (
            "cases.csv",
            "primary bone tumour",
            "metastasis",
            3,
            "class “primary” for 4 folds; expected at least 4; got 0",
        ),
        ("cases.csv", "diagnosis", "finding", 3, "lacks the column “diagnosis”"),
        ("features.csv", "c3,1", "c2,1", 3, "line 5: the lesion “c2, 1” stands twice"),
        ("recipe.toml", "n_folds = 4", "n_folds = 13", 3, "for 13 folds; expected at least 13; got 12"),
        ("recipe.toml", "n_folds", "folds", 2, "wrong key; got folds"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_left(
    file: str, old: str, new: str, code: int, message: str, tmp_path: Path, osteomet: Osteomet
) -> None:
    write_tables(tmp_path)
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    before = sorted(tmp_path.iterdir())
    outcome = osteomet(*fit(tmp_path))
    assert (outcome.code, message in outcome.err) == (code, True), outcome.err
    assert sorted(tmp_path.iterdir()) == before


def test_a_table_without_a_usable_feature_names_the_lesion_to_blame(tmp_path: Path, osteomet: Osteomet) -> None:
    write_tables(tmp_path)
    lines = (tmp_path / "features.csv").read_text().splitlines()
    lines[9] = "c8,1" + "," * 12
    (tmp_path / "features.csv").write_text("\n".join(lines))
    outcome = osteomet(*fit(tmp_path))
    assert outcome.code == 3
    assert "no feature can be used; expected" in outcome.err
    assert "got 12 of 12 not computed for lesion 1 of case “c8”" in outcome.err


def test_lesions_of_one_case_are_named_apart_and_left_out_together(tmp_path: Path, osteomet: Osteomet) -> None:
    write_tables(tmp_path)
    header, *lines = (tmp_path / "features.csv").read_text().splitlines()
    order = [*range(0, N_CASES, 2), *range(1, N_CASES, 2)]  # first the metastases, two lesions a case
    paired = [f"c{n // 2},{n % 2 + 1}," + lines[row].split(",", 2)[2] for n, row in enumerate(order)]
    (tmp_path / "features.csv").write_text("\n".join([header, *paired]) + "\n")
    names = [f"c{n},p{n},{'metastasis' if n < 6 else 'primary'}" for n in range(12)]
    (tmp_path / "cases.csv").write_text("\n".join(["case,patient,diagnosis", *names]) + "\n")
    outcome = osteomet(*fit(tmp_path))
    assert outcome.code == 0, outcome.err
    cases = read_classified(tmp_path / "fitted" / "out_of_fold.csv", TUMOUR_ORIGINS)
    assert cases.cases[:3] == ("c0#1", "c0#2", "c1#1")
    assert cases.patients[:3] == ("p0", "p0", "p1")
    folds = rows(tmp_path / "fitted" / "tables" / "folds.csv")
    assert all(a["fold"] == b["fold"] for a, b in zip(folds[::2], folds[1::2], strict=True))
    assert read_signature(tmp_path / "fitted").signature.training["n_patients"] == 12


def perturbed_table(folder: Path, *, without: str = "") -> Path:
    """Two perturbed masks a lesion: every feature keeps its value, but ``f2`` becomes noise."""
    rng = np.random.default_rng(1)
    path = folder / "perturbed.csv"
    with path.open("w", newline="") as file:
        writer: Any = None
        for row in rows(folder / "features.csv"):
            for number in (1, 2):
                changed = {**row, "f2": str(rng.standard_normal()), "f5": "1.0", "perturbation": str(number)}
                writer = writer or csv.DictWriter(file, changed)
                if file.tell() == 0:
                    writer.writeheader()
                if f"{row['case']} {number}" != without:
                    writer.writerow(changed)
    return path


def test_features_that_change_with_the_mask_are_left_out(tmp_path: Path, osteomet: Osteomet) -> None:
    write_tables(tmp_path)
    outcome = osteomet(*fit(tmp_path, "--perturbed", perturbed_table(tmp_path)))
    assert outcome.code == 0, outcome.err
    table = {row["feature"]: row for row in rows(tmp_path / "fitted" / "tables" / "features.csv")}
    assert table["f2"]["left_out"] == "intraclass correlation over perturbed masks below 0.75"
    assert float(table["f2"]["icc"]) < 0.75
    assert (table["f3"]["left_out"], table["f3"]["icc"]) == ("", "1.0")
    assert table["f7"]["left_out"] == "no intraclass correlation over perturbed masks"


def test_a_perturbation_that_is_missing_is_named(tmp_path: Path, osteomet: Osteomet) -> None:
    write_tables(tmp_path)
    outcome = osteomet(*fit(tmp_path, "--perturbed", perturbed_table(tmp_path, without="c5 2")))
    assert outcome.code == 3
    assert "lacks a perturbed mask; expected perturbation 2 of lesion 1 of case “c5”" in outcome.err


def write_images(folder: Path) -> None:
    """Sixteen images, each with a ball of 7 voxels across; those of metastases vary more from voxel to voxel."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    (folder / "dataset.json").write_text(
        json.dumps({"channel_names": {"0": "T1"}, "labels": {"background": 0, "lesion": 1}})
    )
    grid = Grid.from_spacing((13, 13, 11), (1.0, 1.0, 1.5))
    ball = sum((x - c) ** 2 for x, c in zip(np.indices(grid.shape), (6, 6, 5), strict=True)) <= 12
    lines = ["case,patient,diagnosis"]
    for case in range(16):
        rng = np.random.default_rng(case)
        spread = 60 if case % 2 else 15
        array = (200 + spread * rng.standard_normal(grid.shape)).astype(np.float32)
        write_volume(Volume(array, grid, Modality.MR, Unit.ARBITRARY), folder / "imagesTr" / f"c{case:02d}_0000.nii.gz")
        labels = LabelMap(np.asarray(ball).astype(np.uint8), grid, {"lesion": 1})
        write_labels(labels, folder / "labelsTr" / f"c{case:02d}.nii.gz")
        lines.append(f"c{case:02d},p{case:02d},{'metastasis' if case % 2 else 'primary'}")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")


def test_images_to_rad_scores_by_commands(tmp_path: Path, osteomet: Osteomet) -> None:
    data = tmp_path / "data"
    write_images(data)
    (tmp_path / "extract.toml").write_text('log_sigmas_mm = []\nwavelet = "none"\n')
    (tmp_path / "recipe.toml").write_text(RECIPE)
    extract = ("radiomics", "extract", "--data", data, "--settings", tmp_path / "extract.toml", "--out")
    assert osteomet(*extract, tmp_path / "features.csv").code == 0
    assert osteomet(*extract, tmp_path / "perturbed.csv", "--perturb", 2, "--seed", 5).code == 0
    perturbed = rows(tmp_path / "perturbed.csv")
    assert [row["perturbation"] for row in perturbed[:4]] == ["1", "2", "1", "2"]
    assert len({row["n_voxels"] for row in perturbed}) > 2
    commands = ("--labels", data / "cases.csv", "--settings", tmp_path / "recipe.toml", "--out", tmp_path / "fitted")
    tables = ("--features", tmp_path / "features.csv", "--perturbed", tmp_path / "perturbed.csv")
    outcome = osteomet("radiomics", "fit", *tables, *commands)
    assert outcome.code == 0, outcome.err
    assert "AUC out of fold" in outcome.out
    assert osteomet(*predict(tmp_path, tmp_path / "scores.csv")).code == 0
    scores = rows(tmp_path / "scores.csv")
    assert [row["prediction"] for row in scores] == ["primary", "metastasis"] * 8


@pytest.mark.slow
def test_a_dynamic_phantom_cohort_by_commands(
    tmp_path: Path, osteomet: Osteomet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synth, "draw_patient", partial(draw_patient, coarse=3.0))
    data = tmp_path / "data"
    assert osteomet("synth", "ce-dynamic", "--out", data, "--cases", 16, "--seed", 1).code == 0
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "extract.toml").write_text('normalise_scale = 100.0\nlog_sigmas_mm = []\nwavelet = "none"\n')
    extract = ("--data", data, "--channel", 4, "--settings", tmp_path / "extract.toml")
    assert osteomet("radiomics", "extract", *extract, "--out", tmp_path / "features.csv").code == 0
    tables = ("--features", tmp_path / "features.csv", "--labels", data / "cases.csv")
    settings = ("--settings", tmp_path / "recipe.toml", "--out", tmp_path / "fitted")
    outcome = osteomet("radiomics", "fit", *tables, *settings)
    assert outcome.code == 0, outcome.err
    assert osteomet(*predict(tmp_path, tmp_path / "scores.csv")).code == 0
    lesions = {row["case"] for row in rows(data / "lesions.csv")}
    assert {row["case"] for row in rows(tmp_path / "scores.csv")} == lesions
    assert len(rows(tmp_path / "fitted" / "out_of_fold.csv")) == len(lesions)


@pytest.mark.parametrize("arguments", [("--perturb", 0), ("--perturb", 2, "--seed", -1)])
def test_perturbations_that_cannot_be_meant(arguments: tuple[object, ...], tmp_path: Path, osteomet: Osteomet) -> None:
    outcome = osteomet("radiomics", "extract", "--data", tmp_path, "--out", tmp_path / "f.csv", *arguments)
    assert outcome.code == 2
    assert "perturbed masks cannot be made" in outcome.err
