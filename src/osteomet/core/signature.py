"""A radiomic signature: which features, how they are weighed, and what it was fitted to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SIGNATURE_FORMAT = "osteomet-signature/1"


@dataclass(frozen=True, slots=True)
class SignatureTerm:
    """One feature: its mean and standard deviation in the training lesions, and the weight of its standardised form."""

    feature: str
    centre: float
    scale: float
    coefficient: float

    def contribution(self, value: float) -> float:
        """What a value adds to the Rad-score.

        Examples
        --------
        >>> SignatureTerm("original_shape_Sphericity", centre=0.5, scale=0.1, coefficient=-2.0).contribution(0.6)
        -1.9999999999999996
        """
        return self.coefficient * (value - self.centre) / self.scale


@dataclass(frozen=True, slots=True)
class Signature:
    """A fitted signature.

    The Rad-score of a lesion is the sum of the contributions of its ``terms``, 0 for an average training lesion; the
    probability of the first of the two ``classes`` is the logistic function of ``intercept + slope × Rad-score``.

    Parameters
    ----------
    name
        What the signature is called.
    classes
        Class whose probability grows with the Rad-score, and the other.
    terms
        Features with a coefficient other than 0; none where no feature told the classes apart.
    intercept, slope
        Of the logistic classifier; the intercept holds the log odds of ``prevalence``.
    prevalence
        Share of the first class that the probabilities are meant for.
    extraction
        Settings that the features must be extracted with; None where they were not known.
    training
        What it was fitted to and how: numbers of lesions and patients, and the recipe.
    metrics
        Figures of the cross-validation, each with its interval.
    image
        Name of the image that features were extracted from, such as CT or T1; None where it was not known, or where
        the names of several images stand in front of the features.
    """

    name: str
    classes: tuple[str, str]
    terms: tuple[SignatureTerm, ...]
    intercept: float
    slope: float
    prevalence: float
    extraction: Mapping[str, Any] | None
    training: Mapping[str, Any]
    metrics: Mapping[str, Any]
    image: str | None = None

    def probability(self, rad_score: float) -> float:
        """Probability of the first class."""
        logit = self.intercept + self.slope * rad_score
        return 1 / (1 + math.exp(-logit)) if logit > -500 else 0.0
