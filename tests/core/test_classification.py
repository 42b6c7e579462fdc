from dataclasses import replace

import pytest

from osteomet.core.classification import Classification, ClassifierKind
from osteomet.core.errors import InputError

SURE = Classification(ClassifierKind.NETWORKS, "a", "1", "metastasis", {"metastasis": 0.75, "primary": 0.25})


def test_what_cannot_be_said_has_a_note() -> None:
    silent = replace(SURE, prediction=None, probabilities=None, note="outside")
    assert silent.probabilities is None


@pytest.mark.parametrize(
    ("prediction", "probabilities", "message"),
    [
        ("benign", {"metastasis": 0.75, "primary": 0.25}, "one of them as prediction"),
        ("metastasis", {"metastasis": 0.75, "primary": 0.75}, "a probability of each class"),
        ("metastasis", {"metastasis": 1.5, "primary": -0.5}, "a probability of each class"),
        ("metastasis", None, "has a note and no prediction"),
        (None, None, "has a note and no prediction"),
    ],
)
def test_what_contradicts_itself_is_refused(
    prediction: str | None, probabilities: dict[str, float] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        replace(SURE, prediction=prediction, probabilities=probabilities)
