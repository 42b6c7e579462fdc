"""Pairing of folders by file name, and every defect that a folder or a table can have."""

import json
from pathlib import Path

import pytest

from osteomet.core.errors import DatasetError, FormatError
from osteomet.io.dataset import CaseFacts, LesionNote, pair_cases


def put(folder: Path, *names: str) -> Path:
    """Folder with empty files: pairing opens no image."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_maps_are_paired_by_name_across_formats(tmp_path: Path) -> None:
    reference = put(tmp_path / "r", "b.nii.gz", "a.nrrd", "notes.txt", ".a.nii.gz")
    prediction = put(tmp_path / "p", "a.nii.gz", "b.mha", "b_probability.nii.gz", "a.confidence.csv")
    paired = pair_cases(reference, prediction)
    assert [(p.facts, p.reference.path.name) for p in paired.pairs] == [
        (CaseFacts("a", "a", {}), "a.nrrd"),
        (CaseFacts("b", "b", {}), "b.nii.gz"),
    ]
    first, second = (p.prediction for p in paired.pairs)
    assert first is not None
    assert second is not None
    assert (first.path.name, first.is_instances, first.confidence) == (
        "a.nii.gz",
        True,
        prediction / "a.confidence.csv",
    )
    assert (second.is_instances, second.probability) == (False, prediction / "b_probability.nii.gz")
    assert (paired.missing, paired.left_out) == ((), ())


def test_a_missing_prediction_is_listed(tmp_path: Path) -> None:
    paired = pair_cases(put(tmp_path / "r", "a.nii.gz", "b.nii.gz"), put(tmp_path / "p", "b.nii.gz"))
    assert paired.missing == ("a",)
    assert paired.pairs[0].prediction is None


def test_labels_of_the_layout_of_nnunet(tmp_path: Path) -> None:
    """Names and tables lie above ``labelsTr`` and ``instancesTr``; maps of the latter are instance-valued."""
    names = {"labels": {"background": 0, "lytic": 1, "sclerotic": 2}}
    (tmp_path / "dataset.json").write_text(json.dumps(names))
    (tmp_path / "cases.csv").write_text("case,patient,centre,scanner\na,p1,Seoul,\nunused,p2,Linz,X\n")
    (tmp_path / "lesions.csv").write_text("case,lesion,type,site,x_mm,y_mm,z_mm\na,3,lytic,L3,1,2,-3.5\nb,1,,,,,\n")
    prediction = put(tmp_path / "p", "a.nii.gz")
    for folder, is_instances in (("labelsTr", False), ("instancesTr", True)):
        (pair,) = pair_cases(put(tmp_path / folder, "a.nii.gz"), prediction).pairs
        assert pair.reference.names == {"lytic": 1, "sclerotic": 2}
        assert pair.reference.is_instances is is_instances
        assert pair.reference.notes == (LesionNote(3, "lytic", "L3", xyz_mm=(1, 2, -3.5)),)
        assert pair.facts == CaseFacts("a", "p1", {"centre": "Seoul"})


def test_a_table_of_its_own(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("case,patient\na,p\nb,\n")
    paired = pair_cases(put(tmp_path / "r", "a.nii", "b.nii"), put(tmp_path / "p", "a.nii", "b.nii"), table=table)
    assert [p.facts.patient for p in paired.pairs] == ["p", "b"]


DEFECTS = {
    "extra prediction": (
        "a.nii",
        "a.nii x.nii",
        "",
        r"case “x” has a prediction but no reference; got .*x\.nii; remedy",
    ),
    "two references": ("a.nii x.nii x.nrrd", "a.nii", "", r"case “x” stands twice in .*r; got x\.nii and x\.nrrd"),
    "two predictions": ("a.nii x.nii", "a.nii x.nii x.mha", "", r"case “x” stands twice in .*p; got x\.mha and x\.nii"),
    "two rows": ("a.nii x.nii", "a.nii", "a x x", r"case “x” stands twice in .*cases\.csv; got lines 3 and 4"),
    "no row": ("a.nii x.nii", "a.nii", "a", r"case “x” is not in the table of cases; remedy: add a row"),
}


@pytest.mark.parametrize(("references", "predictions", "rows", "message"), DEFECTS.values(), ids=list(DEFECTS))
def test_defects_name_the_case(tmp_path: Path, references: str, predictions: str, rows: str, message: str) -> None:
    reference, prediction = put(tmp_path / "r", *references.split()), put(tmp_path / "p", *predictions.split())
    if rows:
        (reference / "cases.csv").write_text("\n".join(["case", *rows.split()]))
    with pytest.raises(DatasetError, match=message):
        pair_cases(reference, prediction)
    paired = pair_cases(reference, prediction, continue_on_error=True)
    assert [p.facts.case for p in paired.pairs] == ["a"]
    assert [left.case for left in paired.left_out] == ["x"]
    with pytest.raises(DatasetError, match=message):
        raise DatasetError(paired.left_out[0].reason)


def test_folders_that_hold_nothing(tmp_path: Path) -> None:
    empty = put(tmp_path / "empty")
    with pytest.raises(DatasetError, match=r"empty: the reference folder has no label map"):
        pair_cases(empty, empty)
    with pytest.raises(DatasetError, match=r"none: no such folder; expected a folder of label maps"):
        pair_cases(tmp_path / "none", empty)
    (tmp_path / "r").mkdir()
    put(tmp_path / "r", "x.nii", "x.mha")
    with pytest.raises(DatasetError, match=r"no case can be evaluated; got case “x” stands twice"):
        pair_cases(tmp_path / "r", empty, continue_on_error=True)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("case,lesion\na,one\n", r"lesions\.csv, line 2: the cell “lesion” is not a number; .* got 'one'"),
        ("case,lesion\na,1.5\n", r"the cell “lesion” names no lesion; expected a whole number from 1; got 1\.5"),
        ("case,lesion,confidence\na,1,80\n", r"a confidence is no probability; expected a number from 0 to 1; got 80"),
        ("lesion\n1\n", r"the table lacks the column “case”"),
    ],
)
def test_damaged_tables_of_lesions(tmp_path: Path, table: str, message: str) -> None:
    reference = put(tmp_path / "r", "a.nii")
    (reference / "lesions.csv").write_text(table)
    with pytest.raises(DatasetError, match=message):
        pair_cases(reference, reference)


def test_an_empty_table_of_lesions_has_none(tmp_path: Path) -> None:
    reference = put(tmp_path / "r", "a.nii", "lesions.csv")
    assert pair_cases(reference, reference).pairs[0].reference.notes == ()


def test_damaged_names(tmp_path: Path) -> None:
    reference = put(tmp_path / "r", "a.nii")
    (reference / "dataset.json").write_text("{")
    with pytest.raises(FormatError, match=r"dataset\.json beside the label map cannot be used"):
        pair_cases(reference, reference)
