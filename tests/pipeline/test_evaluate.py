"""The whole evaluation on data sets small enough to count by hand."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.errors import DatasetError, GeometryError, UsageError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap
from osteomet.evaluation.metrics import Resampling
from osteomet.io.formats import write_labels
from osteomet.pipeline.evaluate import EvaluationJob, evaluate_folders

# A voxel is 0.125 ml: 4 voxels are 0.5 ml, 8 are 1 ml, 16 are 2 ml.
GRID = Grid.from_spacing((12, 12, 6), (5.0, 5.0, 5.0))
LABELS = {"lytic": 1, "sclerotic": 2}
FEW = Resampling(n_draws=200)
Box = tuple[slice, slice, slice]


def write_map(folder: Path, case: str, boxes: list[tuple[Box, int]], grid: Grid = GRID) -> None:
    array: NDArray[np.uint8] = np.zeros(grid.shape, dtype=np.uint8)
    for where, value in boxes:
        array[where] = value
    folder.mkdir(exist_ok=True, parents=True)
    write_labels(LabelMap(array, grid, LABELS), folder / f"{case}.nii.gz")
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, **LABELS}}))


def box(i: slice, j: slice, k: slice) -> Box:
    return i, j, k


FOUR = box(slice(0, 4), slice(0, 1), slice(0, 1))
HALF_OF_FOUR = box(slice(0, 2), slice(0, 1), slice(0, 1))
SIXTEEN = box(slice(0, 4), slice(4, 8), slice(3, 4))
EIGHT = box(slice(8, 10), slice(8, 10), slice(3, 5))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Case a: 4 voxels half found, 16 missed, 8 invented. Case b: nothing. Case c: 8 voxels, prediction missing."""
    reference, prediction = tmp_path / "reference", tmp_path / "prediction"
    write_map(reference, "a", [(FOUR, 1), (SIXTEEN, 2)])
    write_map(prediction, "a", [(HALF_OF_FOUR, 1), (EIGHT, 1)])
    write_map(reference, "b", [])
    write_map(prediction, "b", [])
    write_map(reference, "c", [(EIGHT, 1)])
    return reference, prediction


def evaluate(folders: tuple[Path, Path], tmp_path: Path, **options: Any) -> dict[str, Any]:
    job = EvaluationJob(*folders, tmp_path / "out", **options)
    evaluate_folders(job, resampling=FEW)
    document: dict[str, Any] = json.loads((tmp_path / "out" / "metrics.json").read_text())
    return document


def read_table(tmp_path: Path, name: str) -> list[list[str]]:
    with (tmp_path / "out" / "tables" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_metrics_counted_by_hand(folders: tuple[Path, Path], tmp_path: Path) -> None:
    document = evaluate(folders, tmp_path)
    metrics = document["metrics"]
    expected = {
        "lesion.dice": (4 / 30 + 0) / 2,  # case a: 2 common of 20 and 10 voxels; b undefined; c empty prediction
        "lesion.recall": (2 / 20 + 0) / 2,
        "lesion.precision": 2 / 10,
        "lesion.dice.lytic": (2 * 2 / (4 + 10) + 0) / 2,
        "lesion.dice.sclerotic": 0.0,
        "detection.sensitivity": 1 / 3,
        "detection.ppv": 1 / 2,
        "detection.f1": 0.4,
        "detection.f2": 5 * (1 / 6) / (4 / 2 + 1 / 3),
        "detection.pq": 0.0,  # the one pair has an IoU of 0.5, which is not above 0.5
        "detection.fp_per_case": 1 / 3,
        "detection.sensitivity.le_0_5_ml": 1.0,
        "detection.sensitivity.gt_0_5_le_1_ml": 0.0,
        "detection.sensitivity.gt_1_le_2_ml": 0.0,
        "detection.sensitivity.gt_2_ml": None,
        "detection.sensitivity.1_lesion": 0.0,
        "detection.sensitivity.2_3_lesions": 1 / 2,
        "detection.sensitivity.lytic": 1 / 2,
        "detection.ppv.lytic": 1 / 2,
        "patient.sensitivity": 1 / 2,
        "patient.specificity": 1.0,
        "patient.auc": None,
        "volume.bias_ml": (-1.25 + 0 - 1.0) / 3,
    }
    for name, value in expected.items():
        assert metrics[name]["value"] == pytest.approx(value), name
        assert set(metrics[name]) == {"value", "low", "high", "numerator", "denominator", "unit"}
    assert (metrics["detection.sensitivity"]["numerator"], metrics["detection.sensitivity"]["denominator"]) == (1, 3)
    assert (metrics["lesion.hd95_mm"]["unit"], metrics["detection.fp_per_case"]["unit"]) == ("mm", "per case")


def test_definitions_are_stated(folders: tuple[Path, Path], tmp_path: Path) -> None:
    definitions = evaluate(folders, tmp_path)["definitions"]
    assert definitions["connectivity"] == 26
    assert definitions["minimum_volume_ml"] == 0
    assert definitions["matching_rule"] == "a predicted and a reference lesion share at least 1 voxels"
    assert definitions["bootstrap"] == {"unit": "patient", "method": "BCa", "seed": 20241, "draws": 200, "level": 0.95}
    assert "detection.fp_per_case" in definitions["denominators"]


def test_missing_prediction_counts_as_empty_and_is_listed(folders: tuple[Path, Path], tmp_path: Path) -> None:
    assert evaluate(folders, tmp_path)["missing_predictions"] == ["c"]
    assert "counted as empty: c" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    rows = {
        row[0]: dict(zip(read_table(tmp_path, "cases")[0], row, strict=True)) for row in read_table(tmp_path, "cases")
    }
    assert (rows["c"]["prediction"], rows["c"]["dice"], rows["b"]["dice"]) == ("missing", "0.0", "")


def test_kim2024_counts_voxels_of_all_cases_and_ten_in_common(folders: tuple[Path, Path], tmp_path: Path) -> None:
    metrics = evaluate(folders, tmp_path, protocol="kim2024")["metrics"]
    assert metrics["lesion.dice"]["value"] == pytest.approx(4 / (28 + 10))
    assert (metrics["lesion.recall"]["numerator"], metrics["lesion.recall"]["denominator"]) == (2, 28)
    assert metrics["detection.sensitivity"]["value"] == 0
    table = read_table(tmp_path, "kim2024_table3")
    assert table[5][:2] == ["Total", "0.000 (0/3)"]
    assert "0.857 (150/175)" in table[5]


def test_edelmers2024_scores_each_type_alone(folders: tuple[Path, Path], tmp_path: Path) -> None:
    metrics = evaluate(folders, tmp_path, protocol="edelmers2024")["metrics"]
    # lytic: two lesions and two predictions, one pair with an IoU of 0.5
    assert metrics["detection.f2.lytic"]["value"] == pytest.approx(0.5)
    assert metrics["detection.f2.sclerotic"]["value"] == 0
    assert metrics["detection.pq.lytic"]["denominator"] == 2
    assert read_table(tmp_path, "edelmers2024_table3")[1][:3] == ["Lytic", "0.143 (0.000–0.286)", "0.71"]


def test_liu2021_drops_lesions_below_a_fifth_of_a_millilitre(folders: tuple[Path, Path], tmp_path: Path) -> None:
    write_map(folders[1], "b", [(box(slice(0, 1), slice(0, 1), slice(0, 1)), 1)])  # one voxel, 0.125 ml
    metrics = evaluate(folders, tmp_path, protocol="liu2021")["metrics"]
    assert metrics["patient.specificity"]["value"] == 1
    assert metrics["detection.fp_per_case"]["numerator"] == 1
    rows = {(row[0], row[1]): row[2] for row in read_table(tmp_path, "liu2021_table5")}
    assert rows["Lesion", "Recall (%)"] == "33.3 (1/3)"
    assert rows["Patient", "Sensitivity (%)"] == "50.0 (1.3–98.7)"


def test_nothing_anywhere_is_undefined_not_perfect(tmp_path: Path) -> None:
    folders = tmp_path / "reference", tmp_path / "prediction"
    for folder in folders:
        write_map(folder, "a", [])
        write_map(folder, "b", [])
    metrics = evaluate(folders, tmp_path)["metrics"]
    for name in ("lesion.dice", "lesion.hd95_mm", "detection.sensitivity", "detection.f1", "patient.sensitivity"):
        assert metrics[name]["value"] is None, name
    assert metrics["detection.fp_per_case"]["value"] == 0
    assert metrics["patient.specificity"]["value"] == 1


def test_perfect_predictions(tmp_path: Path) -> None:
    folders = tmp_path / "reference", tmp_path / "prediction"
    for folder in folders:
        write_map(folder, "a", [(FOUR, 1), (EIGHT, 2)])
    metrics = evaluate(folders, tmp_path, protocol="edelmers2024")["metrics"]
    for name in ("lesion.dice", "detection.sensitivity", "detection.pq.lytic", "detection.f2.sclerotic", "lesion.nsd"):
        assert metrics[name]["value"] == pytest.approx(1), name
    assert metrics["lesion.hausdorff_mm"]["value"] == 0


def test_confidences_give_froc_and_patient_auc(folders: tuple[Path, Path], tmp_path: Path) -> None:
    write_map(folders[1], "a", [(HALF_OF_FOUR, 1), (EIGHT, 2)])
    write_map(folders[1], "c", [])
    for case, rows in (("a", ["1,0.9,lytic", "2,0.4,lytic"]), ("b", []), ("c", [])):
        (folders[1] / f"{case}.confidence.csv").write_text("\n".join(["instance,confidence,type", *rows]) + "\n")
    metrics = evaluate(folders, tmp_path)["metrics"]
    # thresholds 0.9 and 0.4: (0 FP, 1/3), then (1/3 FP a case, 1/3)
    assert [row[1:] for row in read_table(tmp_path, "froc")[1:]] == [
        ["0.0", "0.0"],
        ["0.0", str(1 / 3)],
        [str(1 / 3), str(1 / 3)],
    ]
    assert metrics["detection.sensitivity.at_0_125_fp"]["value"] == pytest.approx(1 / 3)
    assert metrics["patient.auc"]["value"] == pytest.approx(0.75)  # a scores 0.9, b and c 0: one win and one tie
    assert {"froc.png", "froc.svg", "roc.svg"} <= {p.name for p in (tmp_path / "out" / "figures").iterdir()}


def test_readers_stand_beside_the_model(folders: tuple[Path, Path], tmp_path: Path) -> None:
    marks = tmp_path / "marks.csv"
    # R1 points at the 4 voxels of case a and at nothing; R2 finds both lesions of case a
    rows = ["reader,case,x_mm,y_mm,z_mm", "R1,a,5,0,0", "R1,a,55,55,0", "R2,a,0,0,0", "R2,a,5,25,15"]
    marks.write_text("\n".join(rows) + "\n")
    metrics = evaluate(folders, tmp_path, readers=marks)["metrics"]
    assert metrics["readers.sensitivity"]["value"] == pytest.approx((1 / 2 + 1) / 2)
    assert metrics["readers.ppv"]["value"] == pytest.approx((1 / 2 + 1) / 2)
    assert metrics["readers.fp_per_series"]["value"] == pytest.approx((1 + 0) / 2)
    table = read_table(tmp_path, "readers")
    assert [row[0] for row in table[1:]] == ["R1", "R2", "model"]
    assert table[3][6] == "0.5", "the model finds one of the two lesions of the case that was read"


def test_wrong_geometry_stops_unless_told_to_go_on(folders: tuple[Path, Path], tmp_path: Path) -> None:
    write_map(folders[1], "b", [], Grid.from_spacing((12, 12, 6), (4.0, 5.0, 5.0)))
    with pytest.raises(GeometryError, match="case “b”"):
        evaluate(folders, tmp_path)
    assert not (tmp_path / "out").exists()
    document = evaluate(folders, tmp_path, continue_on_error=True)
    assert list(document["left_out"]) == ["b"]
    assert "case “b”" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_extra_prediction_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    write_map(folders[1], "z", [])
    with pytest.raises(DatasetError, match="case “z” has a prediction but no reference"):
        evaluate(folders, tmp_path)


def test_same_seed_gives_the_same_files(folders: tuple[Path, Path], tmp_path: Path) -> None:
    first = evaluate(folders, tmp_path)
    assert evaluate(folders, tmp_path, overwrite=True) == first
    with pytest.raises(UsageError, match="exists already"):
        evaluate(folders, tmp_path)


def test_cases_table_gives_patients_and_centres(folders: tuple[Path, Path], tmp_path: Path) -> None:
    table = tmp_path / "cases.csv"
    table.write_text("case,patient,centre,sequence\na,P1,north,T1\nb,P1,north,CE\nc,P2,south,T1\n")
    metrics = evaluate(folders, tmp_path, table=table)["metrics"]
    assert metrics["patient.accuracy"]["denominator"] == 2
    assert metrics["detection.sensitivity.centre.north"]["value"] == pytest.approx(1 / 2)
    assert metrics["detection.fp_per_case.centre.south"]["value"] == 0
    assert metrics["volume.bias_ml.sequence.T1"]["value"] == pytest.approx((-1.25 - 1.0) / 2)
    assert (tmp_path / "out" / "figures" / "bland_altman_T1.svg").is_file()
    assert metrics["patient.sensitivity.sequence.T1"]["denominator"] == 2
    assert read_table(tmp_path, "sequence_comparisons")[1][:3] == ["CE", "T1", "detection.sensitivity"]


CLASSES = """case,patient,reference,prediction,probability_metastasis,probability_primary
1,1,metastasis,metastasis,0.9,0.1
2,2,metastasis,metastasis,0.8,0.2
3,3,metastasis,primary,0.4,0.6
4,4,primary,primary,0.3,0.7
5,5,primary,metastasis,0.6,0.4
"""


def test_wangh2024_reads_a_table(tmp_path: Path) -> None:
    table = tmp_path / "classes.csv"
    table.write_text(CLASSES)
    job = EvaluationJob(None, None, tmp_path / "out", "wangh2024", table)
    metrics = evaluate_folders(job, resampling=FEW)["metrics"]
    assert metrics["classification.accuracy"]["value"] == pytest.approx(3 / 5)
    assert metrics["classification.recall.metastasis"]["value"] == pytest.approx(2 / 3)
    assert metrics["classification.precision.metastasis"]["value"] == pytest.approx(2 / 3)
    assert metrics["classification.auc.metastasis"]["value"] == pytest.approx(5 / 6)
    assert read_table(tmp_path, "confusion_matrix")[1] == ["metastasis", "2", "1"]
    assert read_table(tmp_path, "wangh2024_table3")[2][:2] == ["Inception-ResNet", "97.86"]
    assert {"confusion_matrix.svg", "roc.svg", "calibration.png"} <= {
        p.name for p in (tmp_path / "out" / "figures").iterdir()
    }


def test_wangd2023_lists_what_was_not_predicted(tmp_path: Path) -> None:
    table = tmp_path / "classes.csv"
    table.write_text("case,patient,reference,prediction\n1,1,none,none\n2,2,mild,apparent\n3,3,apparent,\n")
    document = evaluate_folders(EvaluationJob(None, None, tmp_path / "out", "wangd2023", table), resampling=FEW)
    assert document["missing_predictions"] == ["3"]
    assert document["metrics"]["classification.accuracy"]["value"] == pytest.approx(1 / 3)
    assert document["metrics"]["classification.accuracy.none"]["value"] == 1
    assert document["metrics"]["classification.recall.apparent"]["value"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "nobody1999"}, "no such protocol"),
        ({}, "nothing to evaluate"),
        ({"protocol": "wangd2023"}, "classified cases"),
        ({"reference": Path("somewhere")}, "go together"),
        (
            {"reference": Path("r"), "prediction": Path("p"), "matching": "luck"},
            "no such matching rule; expected any",
        ),
        ({"reference": Path("r"), "prediction": Path("p"), "beta": 0.0}, "β of F-beta is a positive number; got 0"),
        ({"observers": Path("rounds"), "protocol": "wangd2023", "table": Path("t")}, "nothing to evaluate"),
    ],
)
def test_refusals(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    job = EvaluationJob(**{"reference": None, "prediction": None, "out": tmp_path / "out", **options})
    with pytest.raises(UsageError, match=message):
        evaluate_folders(job, resampling=FEW)


def test_a_second_model_is_compared_on_the_same_cases(folders: tuple[Path, Path], tmp_path: Path) -> None:
    second = tmp_path / "second"
    write_map(second, "a", [(FOUR, 1), (SIXTEEN, 2)])
    write_map(second, "c", [])
    document = evaluate(folders, tmp_path, against=second)
    metrics = document["metrics"]
    assert metrics["against.detection.sensitivity"]["value"] == pytest.approx(2 / 3)
    assert metrics["p.mcnemar_exact.detection.sensitivity.prediction.against"]["value"] == 1  # one discordant lesion
    header, *rows = read_table(tmp_path, "model_comparisons")
    found = [dict(zip(header, row, strict=True)) for row in rows]
    (drawn,) = [r for r in found if (r["figure"], r["test"]) == ("detection.sensitivity", "patient bootstrap")]
    assert (drawn["first"], drawn["second"], drawn["n"]) == ("prediction", "against", "3")
    assert float(drawn["second_minus_first"]) == pytest.approx(1 / 3)
    assert document["definitions"]["against"].endswith("counted as empty or wrong: b")
    assert "Two sets of predictions compared" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_observers_and_characteristics_reach_the_tables_of_liu2021(folders: tuple[Path, Path], tmp_path: Path) -> None:
    rounds = tmp_path / "rounds"
    for name, where in (("A1.1", FOUR), ("A2.1", HALF_OF_FOUR)):
        write_map(rounds / name, "a", [(where, 1)])
    table = tmp_path / "cases.csv"
    table.write_text("case,patient,split,age,scanner\na,P1,test,60,3.0 T Intera\nb,P2,test,70,x\nc,P3,external,90,x\n")
    metrics = evaluate(folders, tmp_path, protocol="liu2021", observers=rounds, table=table)["metrics"]
    assert metrics["observers.dice.A1_1.A2_1"]["value"] == pytest.approx(2 / 3)
    ours = read_table(tmp_path, "liu2021_observers")[1]
    assert ours[:2] == ["A1.1 against A2.1", "0.67"]
    header, *rows = read_table(tmp_path, "liu2021_table2")
    by_name = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert by_name["Age (mean ± SD)"]["Testing set, ours"] == "65.00 ± 7.07"
    assert by_name["No. of patients"]["External, ours"] == "1"
    assert by_name["With bone metastases"]["Testing set, ours"] == "1"
    assert by_name["3.0 T Intera"]["Testing set, ours"] == "1"
    checklist = {row[0]: row[2] for row in read_table(tmp_path, "claim_checklist")}
    assert checklist["18"] == "observers.csv"
    assert checklist["20, 21"] == "external: 1, test: 2; no patient is in two parts"
    assert checklist["23"].startswith("osteomet ")


def test_matching_beta_and_tolerance_can_be_chosen(folders: tuple[Path, Path], tmp_path: Path) -> None:
    document = evaluate(folders, tmp_path, protocol="kim2024", matching="iou_greedy", beta=0.5, tolerance_mm=3.0)
    metrics, definitions = document["metrics"], document["definitions"]
    # the half lesion has an IoU of 0.5 with its reference: found, though it shares fewer than ten voxels
    assert metrics["detection.sensitivity"]["value"] == pytest.approx(1 / 3)
    # precision 1/2, recall 1/3, β² = 1/4
    assert metrics["detection.f0_5"]["value"] == pytest.approx(1.25 / 6 / (0.25 / 2 + 1 / 3))
    assert metrics["detection.f2"]["value"] == pytest.approx(5 / 6 / (4 / 2 + 1 / 3))
    assert definitions["matching_rule"].startswith("the intersection over union")
    assert definitions["nsd_tolerance_mm"] == 3.0
    assert definitions["f_beta"].endswith("f0.5 with β = 0.5")
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Not the rule of the protocol but “iou_greedy”" in html


def test_figures_by_every_group_are_there(folders: tuple[Path, Path], tmp_path: Path) -> None:
    table = tmp_path / "cases.csv"
    table.write_text("case,patient,centre,scanner\na,P1,north,S\nb,P2,south,S\nc,P3,south,T\n")
    (folders[0] / "lesions.csv").write_text(
        "case,site,type,x_mm,y_mm,z_mm\na,L3,lytic,5,0,0\na,ilium,mixed,5,25,15\nc,ilium,lytic,42,42,17\n"
    )
    (folders[1] / "lesions.csv").write_text("case,cause,x_mm,y_mm,z_mm\na,vessel,42,42,17\n")
    metrics = evaluate(folders, tmp_path, table=table)["metrics"]
    expected = {
        "detection.sensitivity.centre.north": 1 / 2,
        "detection.sensitivity.scanner.T": 0,
        "detection.sensitivity.site.L3": 1,
        "detection.sensitivity.site.ilium": 0,
        "detection.sensitivity.type.mixed": 0,
        "detection.sensitivity.type.lytic": 1 / 2,
        "detection.sensitivity.2_3_lesions": 1 / 2,
        "lesion.dice.centre.north": 4 / 30,
        "patient.sensitivity.centre.south": 0,
        "patient.specificity.scanner.S": 1,
        "patient.kappa": 0.4,  # P1 and P2 right, P3 missed: agreement 2/3, by chance 4/9
    }
    for name, value in expected.items():
        assert metrics[name]["value"] == pytest.approx(value), name
    assert read_table(tmp_path, "false_positive_causes")[1:] == [["vessel", "1"]]
    rows = {(row[0], row[1]): row[2:] for row in read_table(tmp_path, "patient_figures")}
    # 1 of 2: Clopper–Pearson 1.3–98.7 %, Wilson 9.5–90.5 %
    value, _, _, *limits = (float(cell) for cell in rows["any sequence", "sensitivity"])
    assert (value, *limits) == pytest.approx((0.5, 0.01258, 0.98742, 0.09453, 0.90547), abs=1e-5)


def test_two_classifiers_are_compared(tmp_path: Path) -> None:
    (tmp_path / "first.csv").write_text(CLASSES)
    (tmp_path / "second.csv").write_text(CLASSES.replace("primary,0.4,0.6", "metastasis,0.7,0.3"))
    job = EvaluationJob(
        None, None, tmp_path / "out", "wangh2024", tmp_path / "first.csv", against=tmp_path / "second.csv"
    )
    metrics = evaluate_folders(job, resampling=FEW)["metrics"]
    assert metrics["against.classification.accuracy"]["value"] == pytest.approx(4 / 5)
    header, *rows = read_table(tmp_path, "classifier_comparisons")
    found = [dict(zip(header, row, strict=True)) for row in rows]
    assert [(r["figure"], r["test"]) for r in found] == [
        ("classification.accuracy", "McNemar exact"),
        ("classification.auc.metastasis", "DeLong"),
        ("classification.auc.primary", "DeLong"),
    ]
    assert (float(found[1]["first_value"]), float(found[1]["second_value"])) == pytest.approx((5 / 6, 1.0))
    assert metrics["classification.kappa"]["value"] == pytest.approx((3 / 5 - 13 / 25) / (1 - 13 / 25))


def test_scored_readers_have_figures_of_merit_and_curves(folders: tuple[Path, Path], tmp_path: Path) -> None:
    marks = tmp_path / "marks.csv"
    rows = ["reader,condition,case,x_mm,y_mm,z_mm,likelihood"]
    for reader, first, second in (("R1", 3, 2), ("R2", 2, 3)):
        for condition in ("unaided", "aided"):
            rows += [f"{reader},{condition},a,5,0,0,{first}", f"{reader},{condition},b,55,55,0,{second}"]
            rows.append(f"{reader},{condition},c,42,42,17,{5 if condition == 'aided' else 1}")
    marks.write_text("\n".join(rows) + "\n")
    metrics = evaluate(folders, tmp_path, readers=marks)["metrics"]
    # lesions 3 (one unmarked), normal case b with its mark: R1 unaided rates 3, -, 1 against 2; R2 2, -, 1 against 3
    assert metrics["readers.jafroc"]["value"] == pytest.approx((1 / 3 + 0) / 2)
    assert metrics["readers.jafroc.aided"]["value"] == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert metrics["readers.kappa"]["value"] is None  # every case marked by every reader: chance alone agrees fully
    header, *table = read_table(tmp_path, "reader_comparisons")
    assert {"jafroc", "jafroc1", "auc"} <= {row[header.index("figure")] for row in table}
    assert len(header) == 9
    assert {"readers.svg", "roc_readers.svg"} <= {p.name for p in (tmp_path / "out" / "figures").iterdir()}


def test_confidences_give_every_curve_as_table_and_figure(folders: tuple[Path, Path], tmp_path: Path) -> None:
    write_map(folders[1], "a", [(HALF_OF_FOUR, 1), (EIGHT, 2)])
    write_map(folders[1], "c", [])
    for case, rows in (("a", ["1,0.9,lytic", "2,0.4,lytic"]), ("b", []), ("c", [])):
        (folders[1] / f"{case}.confidence.csv").write_text("\n".join(["instance,confidence,type", *rows]) + "\n")
    metrics = evaluate(folders, tmp_path)["metrics"]
    # a has lesions found at 0.9 and missed; b is normal without marks; c has a missed lesion
    assert [row[1:] for row in read_table(tmp_path, "afroc")[1:]] == [
        ["0.0", "0.0"],
        ["0.0", str(1 / 3)],
        ["1.0", "1.0"],
    ]
    assert metrics["detection.jafroc"]["value"] == pytest.approx((1 + 0.5 + 0.5) / 3)
    # scores 0.9, 0 and 0 of M1, M0, M1
    assert metrics["patient.brier"]["value"] == pytest.approx((0.01 + 0 + 1) / 3)
    assert metrics["patient.ece"]["value"] == pytest.approx((0.1 + 1) / 3)
    assert float(read_table(tmp_path, "decision_curve_patients")[50][1]) == pytest.approx(1 / 3)
    assert len(read_table(tmp_path, "froc_band")) == 61
    names = {p.name for p in (tmp_path / "out" / "figures").iterdir()}
    curves = ("froc", "afroc", "roc", "calibration", "decision_curve")
    assert {f"{curve}.{suffix}" for curve in curves for suffix in ("png", "svg")} <= names


def test_every_metric_and_table_has_its_name_in_the_documentation(folders: tuple[Path, Path], tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    write_map(folders[1], "c", [(EIGHT, 1)])
    for case, rows in (("a", ["1,0.9,lytic"]), ("b", []), ("c", ["1,0.7,lytic"])):
        (folders[1] / f"{case}.confidence.csv").write_text("\n".join(["instance,confidence,type", *rows]) + "\n")
    write_map(folders[1], "a", [(HALF_OF_FOUR, 1)])
    table = tmp_path / "cases.csv"
    table.write_text("case,patient,centre,sequence,age\na,P1,n,DWI,60\nb,P1,n,T1-IP,60\nc,P2,s,DWI,70\n")
    (tmp_path / "marks.csv").write_text(
        "reader,case,x_mm,y_mm,z_mm,likelihood\nR1,a,5,0,0,3\nR2,b,5,0,0,1\nR2,c,42,42,17,2\n"
    )
    for name in ("A1.1", "A2.1"):
        write_map(tmp_path / "rounds" / name, "a", [(FOUR, 1)])
    (tmp_path / "classes.csv").write_text(CLASSES)
    options = {"table": table, "against": folders[0], "readers": tmp_path / "marks.csv"}
    metrics = dict(evaluate(folders, tmp_path, observers=tmp_path / "rounds", **options)["metrics"])
    tables = {path.stem for path in (tmp_path / "out" / "tables").iterdir()}
    classes = tmp_path / "classes.csv"
    job = EvaluationJob(None, None, tmp_path / "out", "wangh2024", classes, against=classes, overwrite=True)
    metrics |= evaluate_folders(job, resampling=FEW)["metrics"]
    tables |= {path.stem for path in (tmp_path / "out" / "tables").iterdir()}
    starts = {".".join(name.split(".")[:2]) for name in metrics if not name.startswith(("against.", "demographics."))}
    assert len(starts) > 50
    named = starts - {start for start in starts if start.startswith("lesion_pooled.")}  # of these it names the first
    assert [start for start in sorted(named) if f"`{start}" not in page] == []
    ours = {re.sub("^roc_(metastasis|primary)$", "roc_<class>", name) for name in tables if "wangh2024_" not in name}
    assert len(ours) > 25
    assert [name for name in sorted(ours) if f"`{name}`" not in page] == []


def test_metrics_of_all_cases_stand_first_in_the_table(folders: tuple[Path, Path], tmp_path: Path) -> None:
    evaluate(folders, tmp_path)
    depth = [row[0].count(".") for row in read_table(tmp_path, "metrics")[1:]]
    assert depth == sorted(depth)
    assert {"detection.sensitivity", "patient.auc"} <= {row[0] for row in read_table(tmp_path, "metrics")[1:60]}
