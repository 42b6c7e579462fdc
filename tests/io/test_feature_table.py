"""Tables of features and classes: what is read, and complaints that name line, column and case."""

from pathlib import Path

import numpy as np
import pytest

from osteomet.core.errors import DatasetError, FormatError
from osteomet.io.feature_table import LesionClass, check_columns, read_classes, read_features

WORDS = {"metastasis": "metastasis", "primary bone tumour": "primary"}


def table(folder: Path, text: str, name: str = "features.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_values_names_and_settings(tmp_path: Path) -> None:
    path = table(tmp_path, "case,lesion,label,n_voxels,f1,f2\na,1,lytic,9,0.5,\nb,1,lytic,8,-1e3,2\n")
    assert read_features(path).settings is None
    (tmp_path / "features.json").write_text('{"settings": {"bin_width": 25}}')
    features = read_features(path)
    assert features.names == ("f1", "f2")
    assert features.lesions == (("a", "1", ""), ("b", "1", ""))
    assert np.array_equal(features.values, np.array([[0.5, np.nan], [-1000, 2]]), equal_nan=True)
    assert features.settings == {"bin_width": 25}


def test_perturbed_masks_have_their_number(tmp_path: Path) -> None:
    path = table(tmp_path, "case,lesion,perturbation,f1\na,1,1,0.5\na,1,2,0.6\n")
    assert read_features(path, perturbed=True).lesions == (("a", "1", "1"), ("a", "1", "2"))
    with pytest.raises(DatasetError, match="perturbed masks; remedy: pass the table as --perturbed"):
        read_features(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,f1\na,1\n", "lacks the column “lesion”"),
        ("case,lesion,f1\n", "no lesion"),
        ("case,lesion,n_voxels\na,1,5\n", "no feature"),
        ("case,lesion,f1\na,1,red\n", "line 2: the cell “f1” is not a number; expected.*; got 'red'"),
        ("case,lesion,f1\na,1,inf\n", "line 2: the cell “f1” is not a number"),
        ("case,lesion,f1\na,1,1\na,1,2\n", "line 3: the lesion “a, 1” stands twice"),
        ("case,lesion,f1\n,1,1\n", "line 2: the cell “case” is empty"),
    ],
)
def test_what_is_no_table_of_features(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message):
        read_features(table(tmp_path, text))


@pytest.mark.parametrize("text", ["{", "[]", '{"settings": 3}', '{"set": {}}'])
def test_damaged_settings_are_refused(text: str, tmp_path: Path) -> None:
    path = table(tmp_path, "case,lesion,f1\na,1,1\n")
    (tmp_path / "features.json").write_text(text)
    with pytest.raises(FormatError, match="settings of the extraction"):
        read_features(path)


def test_classes_of_cases_and_of_lesions(tmp_path: Path) -> None:
    lesions = [("a", "1", ""), ("a", "2", ""), ("b", "1", "")]
    cases = table(tmp_path, "case,patient,diagnosis\nb,P2,primary bone tumour\na,P1,metastasis\nc,P3,cyst\n", "c.csv")
    assert read_classes(cases, lesions, column="diagnosis", words=WORDS) == (
        LesionClass("metastasis", "P1"),
        LesionClass("metastasis", "P1"),
        LesionClass("primary", "P2"),
    )
    own = table(tmp_path, "case,lesion,what\na,1,metastasis\na,2,primary bone tumour\nb,1,metastasis\n", "l.csv")
    assert [(c.label, c.patient) for c in read_classes(own, lesions, column="what", words=WORDS)] == [
        ("metastasis", "a"),
        ("primary", "a"),
        ("metastasis", "b"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,diagnosis\nb,metastasis\n", "no row for case “a”; remedy: add it, or drop its features"),
        ("case,lesion,diagnosis\na,2,metastasis\n", "no row for lesion 1 of case “a”"),
        ("case,diagnosis\na,cyst\n", "line 2: the cell “diagnosis” has an unknown value; expected metastasis or"),
        ("case,diagnosis\na,\n", "the cell “diagnosis” is empty"),
        ("case,diagnosis\na,metastasis\na,metastasis\n", "line 3: the case “a” stands twice"),
        ("case,what\na,metastasis\n", "lacks the column “diagnosis”"),
    ],
)
def test_what_gives_no_class(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message):
        read_classes(table(tmp_path, text), [("a", "1", "")], column="diagnosis", words=WORDS)


def test_missing_features_are_named(tmp_path: Path) -> None:
    features = read_features(table(tmp_path, "case,lesion,f1\na,1,1\n"))
    check_columns(features, ["f1"])
    with pytest.raises(DatasetError, match="lacks features; expected f1, f2; got no f2; remedy"):
        check_columns(features, ["f1", "f2"])
