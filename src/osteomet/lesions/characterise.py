"""Lytic, sclerotic or mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import UsageError
from osteomet.core.vocabulary import LesionType
from osteomet.lesions.boxes import find_boxes

MIXED_SHARE = 0.25
"""A lesion is mixed when lytic and sclerotic each hold at least this share of its summed probability."""


@dataclass(frozen=True, slots=True)
class Character:
    """Type of a lesion and the shares, 0–1 and 1 together, of its summed probability that it was decided on."""

    type: LesionType
    shares: dict[LesionType, float]

    def evidence(self, mean_hu: float | None = None) -> str:
        """One line for people.

        The mean HU stands beside the type and never decides it: normal bone spans −50 to over 1000 HU with age and
        site, so no threshold on it separates the types.

        Examples
        --------
        >>> Character(LesionType.LYTIC, {LesionType.LYTIC: 0.9, LesionType.SCLEROTIC: 0.1}).evidence(mean_hu=42.4)
        'lytic 90 %, sclerotic 10 % of the summed probability; mean 42 HU'
        """
        shares = ", ".join(f"{kind} {share:.0%}".replace("%", " %") for kind, share in self.shares.items())
        return f"{shares} of the summed probability" + ("" if mean_hu is None else f"; mean {mean_hu:.0f} HU")


def characterise_lesions(
    instances: NDArray[Any], probability: NDArray[np.floating[Any]], *, channels: Sequence[LesionType]
) -> dict[int, Character]:
    """Give every lesion of an instance map its type; an empty map gives an empty dictionary.

    Parameters
    ----------
    instances
        Shape (i, j, k), 0 is background.
    probability
        Shape (n_types, i, j, k), 0–1.
    channels
        What each channel of ``probability`` stands for: lytic and sclerotic on CT, marrow alone on MR.

    Raises
    ------
    UsageError
        If the channels are neither of the two, or their number does not fit ``probability``.

    Notes
    -----
    Probabilities are summed over the voxels of the lesion, so that voxels the model doubts count less. Where both
    types hold `MIXED_SHARE` or more the lesion is mixed, else it has the type with the larger share. A lesion whose
    probabilities sum to 0 counts as evenly shared.
    """
    if set(channels) not in ({LesionType.LYTIC, LesionType.SCLEROTIC}, {LesionType.MARROW}):
        raise UsageError("no rule types these channels", expected="lytic and sclerotic, or marrow", got=str(channels))
    if len(channels) != len(probability):
        raise UsageError("probability needs one channel for each type", got=f"{len(probability)} for {channels}")
    characters = {}
    for label, box in find_boxes(instances).items():
        sums = probability[:, *box][:, instances[box] == label].sum(axis=1, dtype=np.float64)
        shares = sums / sums.sum() if sums.sum() > 0 else np.full(len(channels), 1 / len(channels))
        characters[label] = _character(dict(zip(channels, shares.tolist(), strict=True)))
    return characters


def _character(shares: dict[LesionType, float]) -> Character:
    """Apply the rule."""
    mixed = len(shares) > 1 and min(shares.values()) >= MIXED_SHARE
    return Character(LesionType.MIXED if mixed else max(shares, key=lambda kind: shares[kind]), shares)
