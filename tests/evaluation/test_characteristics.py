"""Which columns describe patients, and how they are shown."""

from pathlib import Path

import pytest

from osteomet.core.errors import DatasetError
from osteomet.evaluation.characteristics import (
    add_lesions,
    characteristics_metrics,
    characteristics_table,
    read_characteristics,
)
from osteomet.evaluation.demographics import PatientRecord, demographics
from osteomet.evaluation.instances import Instance
from osteomet.evaluation.matching import CaseDetections, ReferenceLesion
from osteomet.io.dataset import CaseFacts

TABLE = """case,patient,split,sequence,age,sex,scanner,note,free
a,P1,train,DWI,70,m,Intera,,x
b,P1,train,T1,,m,Achieva,,x
c,P2,test,DWI,60,f,Intera,,y
d,P3,test,DWI,80,,Intera,,z
e,P4,,DWI,75,f,Intera,,z
"""


def outcome(case: str, patient: str, sequence: str, volumes: tuple[float, ...]) -> CaseDetections:
    references = tuple(
        ReferenceLesion(Instance(n, None, 1, volume, (0.0, 0.0, 0.0)), (), None) for n, volume in enumerate(volumes, 1)
    )
    facts = CaseFacts(case, patient, {"sequence": sequence})
    return CaseDetections(facts, references, (), 0, 0, 0, 0, 0, (), True, None)


def test_columns_that_change_within_a_patient_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text(TABLE)
    assert read_characteristics(path) == (
        PatientRecord("P1", "train", {"age": 70.0}, {"sex": "m", "free": "x"}),
        PatientRecord("P2", "test", {"age": 60.0}, {"sex": "f", "free": "y"}),
        PatientRecord("P3", "test", {"age": 80.0}, {"free": "z"}),
        PatientRecord("P4", "not stated", {"age": 75.0}, {"sex": "f", "free": "z"}),
    )


def test_many_different_words_are_no_category(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text("case,id,n\n" + "".join(f"c{n},id {n},{n}\n" for n in range(13)))
    records = read_characteristics(path)
    assert (records[12].patient, records[12].part) == ("c12", "all")
    assert (records[12].numbers, records[12].categories) == ({"n": 12.0}, {})
    path.write_text("case\n")
    assert read_characteristics(path) == ()


def test_a_patient_in_two_parts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text("case,patient,split\na,P1,train\nb,P1,test\n")
    with pytest.raises(DatasetError, match="patient “P1” stands in two parts; got train and test; remedy"):
        read_characteristics(path)


def test_lesions_of_the_reference_are_added() -> None:
    records = [PatientRecord(name, "test", {}, {}) for name in ("P1", "P2", "P3")]
    cases = [
        outcome("a", "P1", "DWI", (1.0, 2.0)),
        outcome("b", "P1", "T1", (4.0,)),
        outcome("c", "P2", "DWI", ()),
    ]
    one, two, three = add_lesions(records, cases)
    assert (one.numbers, one.categories) == ({"lesion_volume_ml": 4.0}, {"metastases": "yes", "lesions": "2_3_lesions"})
    assert (two.numbers, two.categories) == ({}, {"metastases": "no", "lesions": "no_lesion"})
    assert three == records[2], "not evaluated: nothing is known"


def test_table_and_metrics_by_hand() -> None:
    ages = {"train": (60.0, 70.0), "test": (50.0, 90.0), "external": (80.0,)}
    records = [
        PatientRecord(f"{part}{n}", part, {"age": age}, {"sex": "f"} if n else {})
        for part in ("external", "train", "test")
        for n, age in enumerate(ages[part])
    ]
    found = demographics(records)
    table = characteristics_table(found)
    assert table.columns == ("characteristic", "value", "train", "test", "external", "p_development", "p_external")
    assert table.rows[0] == ("patients", "n", 2, 2, 1, None, None)
    assert table.rows[1][:5] == ("age", "mean ± SD", "65 ± 7.071", "70 ± 28.28", "80")
    assert table.rows[2][:4] == ("age", "median (quartiles)", "65 (62.5–67.5)", "70 (60–80)")
    assert table.rows[3] == ("sex", "f", 1, 1, 0, None, None)
    assert table.rows[4] == ("sex", "not stated", 1, 1, 1, None, None)
    metrics = characteristics_metrics(found)
    assert metrics["demographics.patients.test"].estimate.value == 2
    assert metrics["demographics.age.mean.train"].sd == pytest.approx(50**0.5)
    median = metrics["demographics.age.median.test"].estimate
    assert (median.value, median.low, median.high, median.denominator) == (70, 60, 80, 2)
    sex = metrics["demographics.sex.f.train"].estimate
    assert (sex.value, sex.numerator, sex.denominator) == (0.5, 1, 2)
    # train against test: between 25 on 1 df, within 50 + 800 on 2 df
    assert found.numbers[0].development is not None
    assert found.numbers[0].development.statistic == pytest.approx(25 / 425)
    assert metrics["demographics.age.p_development"].estimate.value == found.numbers[0].development.p_value
