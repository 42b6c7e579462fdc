"""Characteristics by hand: summaries, F ratios, counts; and tables that contradict themselves."""

from pathlib import Path

import pytest

from osteomet.core.errors import DatasetError, InputError
from osteomet.evaluation.demographics import CategoryRow, PatientRecord, demographics, read_records


def record(patient: str, part: str, age: float | None = None, sex: str = "") -> PatientRecord:
    return PatientRecord(patient, part, {} if age is None else {"age": age}, {"sex": sex} if sex else {})


def test_ages_of_three_parts_by_hand() -> None:
    records = [record(f"a{v}", "train", v) for v in (1.0, 2.0, 3.0)]
    records += [record(f"b{v}", "test", v) for v in (2.0, 3.0, 4.0)]
    records += [record("c", "external", 10.0), record("d", "external")]
    table = demographics(records)
    assert (table.parts, table.n_patients) == (("train", "test", "external"), (3, 3, 2))
    (age,) = table.numbers
    assert age.name == "age"
    train, _, external = age.parts
    assert (train.n, train.mean, train.sd, train.median) == (3, 2.0, 1.0, 2.0)
    assert (train.first_quartile, train.third_quartile) == (1.5, 2.5)
    assert (external.n, external.n_missing, external.mean, external.sd) == (1, 1, 10.0, None)
    # train against test: between 1.5 on 1 df, within 4 on 4 df
    assert age.development is not None
    assert (age.development.statistic, age.development.p_value) == pytest.approx((1.5, 0.287864), abs=1e-6)
    # six values of mean 2.5 against one of 10: between 6/7 * 7.5², within 5.5 on 5 df
    assert age.external is not None
    assert age.external.statistic == pytest.approx(6 / 7 * 7.5**2 / (5.5 / 5))


def test_categories_count_the_unknown_last() -> None:
    records = [record("a", "train", sex="m"), record("b", "train", sex="f"), record("c", "test", sex="m")]
    table = demographics([*records, record("d", "test")])
    assert table.categories == (
        CategoryRow("sex", "f", (1, 0)),
        CategoryRow("sex", "m", (1, 1)),
        CategoryRow("sex", "", (0, 1)),
    )


def test_nothing_to_compare_gives_no_test() -> None:
    (age,) = demographics([record("a", "train", 1.0), record("b", "test")]).numbers
    assert (age.development, age.external) == (None, None)
    assert (age.parts[1].n, age.parts[1].n_missing, age.parts[1].median) == (0, 1, None)
    (age,) = demographics([record("a", "external", 1.0)]).numbers
    assert (age.development, age.external) == (None, None)
    assert demographics([]).parts == ()


def test_a_patient_twice_is_refused() -> None:
    with pytest.raises(InputError, match="a patient stands twice in the demographics; got a"):
        demographics([record("a", "train"), record("a", "test")])


def test_rows_of_one_patient_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text("case,patient,split,age,sex\n1,P1,train,70,\n2,P1,train,,m\n3,P2,test,,f\n")
    assert read_records(path, numbers=("age",), categories=("sex",)) == (
        PatientRecord("P1", "train", {"age": 70.0}, {"sex": "m"}),
        PatientRecord("P2", "test", {}, {"sex": "f"}),
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "P1,train,70\nP1,test,70\n",
            "line 3: patient “P1” stands in two parts; got train and test; remedy: split by p",
        ),
        ("P1,train,70\nP1,train,71\n", "line 3: two rows of patient “P1” disagree about “age”; got 70.0 and 71.0"),
        ("P1,train,old\n", "line 2: the cell “age” is not a number"),
    ],
    ids=["leak", "disagree", "number"],
)
def test_tables_that_are_refused(tmp_path: Path, rows: str, message: str) -> None:
    path = tmp_path / "cases.csv"
    path.write_text("patient,split,age\n" + rows)
    with pytest.raises(DatasetError, match=message):
        read_records(path, numbers=("age",))
