from dataclasses import replace

import numpy as np
import pytest

from osteomet.core.errors import InputError
from osteomet.core.lesion import Lesion
from osteomet.core.vocabulary import LesionType

LESION = Lesion(
    id=1,
    type=LesionType.LYTIC,
    site="L3",
    subsite="body",
    centroid_xyz_mm=(1.0, 2.0, 3.0),
    long_axis_mm=12.0,
    short_axis_mm=8.0,
    long_axis_ends_xyz_mm=((-5.0, 2.0, 3.0), (7.0, 2.0, 3.0)),
    volume_ml=0.4,
    mean_intensity=35.0,
    confidence=0.9,
    tracking_uid="2.25.1",
)


def test_what_may_be_missing() -> None:
    bare = replace(LESION, subsite=None, confidence=None)
    assert bare.confidence is None
    assert bare.subsite is None


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_confidence_reaches_both_ends(confidence: float) -> None:
    assert replace(LESION, confidence=confidence).confidence == confidence


def test_a_round_lesion_has_equal_axes() -> None:
    assert replace(LESION, long_axis_mm=8.0).long_axis_mm == 8.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": 0}, "id starts at 1; got 0"),
        ({"site": "L9"}, "site of a lesion is not in the vocabulary; got 'L9'"),
        ({"subsite": "rim"}, "sub-site of a lesion is not in the vocabulary; got 'rim'"),
        ({"volume_ml": 0.0}, "positive sizes"),
        ({"volume_ml": np.nan}, "positive sizes"),
        ({"short_axis_mm": 0.0}, "positive sizes"),
        ({"short_axis_mm": 12.5}, r"long axis that is not the shorter one; got volume 0\.4 ml, axes 12\.0 × 12\.5 mm"),
        ({"confidence": 1.1}, "between 0 and 1, or None; got 1.1"),
        ({"confidence": -0.1}, "between 0 and 1"),
        ({"confidence": np.nan}, "between 0 and 1"),
        ({"centroid_xyz_mm": (0.0, np.nan, 0.0)}, "finite place"),
        ({"mean_intensity": np.inf}, "finite size and intensity"),
        ({"volume_ml": np.inf}, "finite size and intensity"),
        ({"long_axis_mm": np.inf}, "finite size and intensity"),
        ({"long_axis_ends_xyz_mm": ((0.0, 0.0, 0.0), (0.0, 0.0, np.nan))}, "finite place"),
    ],
)
def test_what_cannot_be_a_lesion_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(LESION, **changes)  # type: ignore[arg-type]
