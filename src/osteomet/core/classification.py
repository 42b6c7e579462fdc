"""What packages that classify say: of a lesion which class it is, of an exam which grade it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from osteomet.core.errors import InputError

_TOLERANCE = 1e-3


class ClassifierKind(StrEnum):
    """What a package classifies with: a radiomic signature or networks, lesions; or a grader, exams."""

    SIGNATURE = "signature"
    NETWORKS = "networks"
    GRADER = "grader"


@dataclass(frozen=True, slots=True)
class Classification:
    """What one package says of one lesion or exam.

    Parameters
    ----------
    kind, package, version
        Which package says it.
    prediction
        The likeliest class or grade; None where nothing can be said.
    probabilities
        Of every class, together 1 to rounding; None where nothing can be said. They are for the frequencies that the
        package was fitted to, not for those of a clinic.
    note
        Why nothing can be said, or what a reader should know; otherwise empty.

    Raises
    ------
    InputError
        If prediction and probabilities do not go together, or are no probabilities.
    """

    kind: ClassifierKind
    package: str
    version: str
    prediction: str | None
    probabilities: Mapping[str, float] | None
    note: str = ""

    def __post_init__(self) -> None:
        shares = self.probabilities
        if shares is None:
            if self.prediction is not None or not self.note:
                raise InputError("a classification without probabilities has a note and no prediction", got=str(self))
            return
        are_shares = all(0 <= share <= 1 for share in shares.values()) and abs(sum(shares.values()) - 1) < _TOLERANCE
        if self.prediction not in shares or not are_shares:
            raise InputError(
                "a classification has a probability of each class, and one of them as prediction", got=str(self)
            )


@dataclass(frozen=True, slots=True)
class ClassifierUse:
    """One package that took part in an analysis: which one, its hash, its classes, and the images that it took."""

    kind: ClassifierKind
    package: str
    version: str
    sha256: str
    classes: tuple[str, ...]
    images: tuple[str, ...]
