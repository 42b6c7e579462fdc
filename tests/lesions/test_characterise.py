import numpy as np
import pytest

from osteomet.core.errors import UsageError
from osteomet.core.vocabulary import LesionType
from osteomet.lesions.characterise import characterise_lesions

CT = (LesionType.LYTIC, LesionType.SCLEROTIC)


@pytest.mark.parametrize(
    ("lytic", "sclerotic", "expected"),
    [
        (0.9, 0.0, LesionType.LYTIC),
        (0.0, 0.9, LesionType.SCLEROTIC),
        (0.5, 0.5, LesionType.MIXED),
        (0.75, 0.25, LesionType.MIXED),
        (0.75, 0.24, LesionType.LYTIC),
        (0.24, 0.75, LesionType.SCLEROTIC),
        (0.0, 0.0, LesionType.MIXED),
    ],
)
def test_a_quarter_of_each_type_makes_a_lesion_mixed(lytic: float, sclerotic: float, expected: LesionType) -> None:
    instances = np.zeros((4, 4, 4), dtype=np.uint16)
    instances[1:3, 1:3, 1:3] = 5
    probability = np.ones((2, 4, 4, 4), dtype=np.float32)
    probability[0][instances == 5], probability[1][instances == 5] = lytic, sclerotic
    found = characterise_lesions(instances, probability, channels=CT)
    assert found[5].type == expected
    assert sum(found[5].shares.values()) == pytest.approx(1)


def test_probabilities_weigh_and_voxels_do_not() -> None:
    instances = np.ones((1, 1, 4), dtype=np.uint16)
    probability = np.array([[0.3, 0.3, 0.3, 0.0], [0.0, 0.0, 0.0, 0.3]], dtype=np.float32)[:, None, None, :]
    assert characterise_lesions(instances, probability, channels=CT)[1].type == LesionType.MIXED
    probability[1] *= 0.5
    found = characterise_lesions(instances, probability, channels=CT)[1]
    assert found.type == LesionType.LYTIC
    assert found.shares == pytest.approx({LesionType.LYTIC: 6 / 7, LesionType.SCLEROTIC: 1 / 7})
    assert found.evidence(-10) == "lytic 86 %, sclerotic 14 % of the summed probability; mean -10 HU"


def test_one_marrow_channel_types_every_lesion_marrow() -> None:
    instances = np.eye(3, dtype=np.uint16)[None]
    found = characterise_lesions(instances, np.ones((1, 1, 3, 3), dtype=np.float32), channels=(LesionType.MARROW,))
    assert found[1].type == LesionType.MARROW
    assert found[1].evidence() == "marrow 100 % of the summed probability"


def test_no_lesion_has_no_type_and_unknown_channels_are_refused() -> None:
    none = np.zeros((2, 2, 2), dtype=np.uint16)
    assert characterise_lesions(none, np.zeros((2, 2, 2, 2), dtype=np.float32), channels=CT) == {}
    with pytest.raises(UsageError, match="expected lytic and sclerotic, or marrow"):
        characterise_lesions(none, np.zeros((1, 2, 2, 2), dtype=np.float32), channels=(LesionType.MIXED,))
    with pytest.raises(UsageError, match="one channel for each type; got 1 for"):
        characterise_lesions(none, np.zeros((1, 2, 2, 2), dtype=np.float32), channels=CT)
