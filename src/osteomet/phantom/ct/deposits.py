"""What deposits do to CT: density of spongiosa, cortex and soft tissue, changed in place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from osteomet.core.vocabulary import LesionType
from osteomet.phantom.lesions.deposits import Realm
from osteomet.phantom.scene import LobeInScene

_RIM_MM = 1.2
_SHARE_OF_CORTEX = 0.3
_WORN_CORTEX_HU = 40.0


def change_density(
    lobes: Sequence[LobeInScene],
    density: NDArray[np.float32],
    cortex_hu: NDArray[np.float32],
    soft: NDArray[np.float32],
) -> None:
    """Change spongiosa, cortex and what lies around the bone, in place.

    Marrow lobes change nothing: CT does not show them. Substances come later, by `place_substances`.
    """
    for lobe in lobes:
        if lobe.deposit.realm is Realm.SOFT:
            _replace(soft[lobe.box], lobe.share, lobe.deposit.fill_hu)
        elif lobe.deposit.realm is Realm.BONE and lobe.kind is LesionType.SCLEROTIC:
            added = lobe.share * (lobe.deposit.shift_hu * (1 + lobe.deposit.mottle * lobe.grain))
            density[lobe.box] += added
            cortex_hu[lobe.box] += _SHARE_OF_CORTEX * added
        elif lobe.deposit.realm is Realm.BONE and lobe.kind is LesionType.LYTIC:
            _lyse(lobe, density[lobe.box], cortex_hu[lobe.box], soft[lobe.box])


def place_substances(lobes: Sequence[LobeInScene], image: NDArray[np.float32]) -> None:
    """Put what displaces bone and soft tissue alike, cement and cysts, into a finished image, in place."""
    for lobe in lobes:
        if lobe.deposit.realm is Realm.ANYWHERE:
            uneven = 1 + lobe.deposit.mottle * lobe.grain
            _replace(image[lobe.box], lobe.share, lobe.deposit.fill_hu * uneven)


def _lyse(
    lobe: LobeInScene, spongiosa: NDArray[np.float32], cortex: NDArray[np.float32], soft: NDArray[np.float32]
) -> None:
    """Replace bone by the filling of the deposit, with its struts and rim; break the cortex where it breaks."""
    deposit, share = lobe.deposit, lobe.lysed
    _replace(spongiosa, share, deposit.fill_hu)
    if deposit.strut_mm:
        spongiosa += share * lobe.grain * np.float32(deposit.shift_hu)
    if deposit.rim_hu:
        spongiosa += lobe.own * deposit.rim_hu * np.exp(-((lobe.distance_mm / _RIM_MM) ** 2)).astype(np.float32)
    if deposit.breach:
        _replace(cortex, share, deposit.fill_hu + _WORN_CORTEX_HU)
        _replace(soft, lobe.share, deposit.soft_hu)


def _replace(image: NDArray[np.float32], share: NDArray[np.float32], value: float | NDArray[np.float32]) -> None:
    """Move an image towards a value, in place."""
    image += (share * (value - image)).astype(np.float32)
