import pytest

from osteomet.core import errors
from osteomet.core.errors import (
    DatasetError,
    FormatError,
    GeometryError,
    InputError,
    ModelError,
    OsteometError,
    OutputError,
    SeriesError,
    UsageError,
)


def test_a_message_says_what_expected_got_and_remedy_in_that_order() -> None:
    error = InputError("the series has a gap", expected="60 slices", got="59", remedy="export it again")
    assert str(error) == "the series has a gap; expected 60 slices; got 59; remedy: export it again"
    assert (error.what, error.expected, error.got, error.remedy) == (
        "the series has a gap",
        "60 slices",
        "59",
        "export it again",
    )


def test_parts_that_are_not_given_are_not_mentioned() -> None:
    assert str(OsteometError("it broke")) == "it broke"
    assert str(OsteometError("it broke", remedy="mend it")) == "it broke; remedy: mend it"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (OsteometError, 5),
        (OutputError, 5),
        (UsageError, 2),
        (InputError, 3),
        (FormatError, 3),
        (GeometryError, 3),
        (SeriesError, 3),
        (DatasetError, 3),
        (ModelError, 4),
    ],
)
def test_the_class_decides_the_exit_code(kind: type[OsteometError], code: int) -> None:
    assert kind("x").exit_code == code


def test_the_tree_is_complete_here() -> None:
    public = {value for value in vars(errors).values() if isinstance(value, type)}
    assert all(issubclass(kind, OsteometError) for kind in public)
    assert len(public) == 9
