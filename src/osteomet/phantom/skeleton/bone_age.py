"""How dense spongiosa is at an age.

References
----------
Pickhardt P.J. et al. Ann Intern Med 2013;158:588-595: trabecular HU at routine CT
Jang S. et al. 2019, normal HU of L1 by age, 20,374 adults: https://doi.org/10.1148/radiol.2019181648
"""

from __future__ import annotations

import numpy as np

_AGE_YEARS, _L1_HU, _SPREAD_HU = (27.0, 92.0), (226.0, 89.0), (44.0, 38.0)
_LEAST_HU = 20.0


def mean_lumbar_hu(age_years: float) -> float:
    """Mean density of lumbar spongiosa at an age, HU at 120 kV: the means of Jang 2019 at both ends, joined by a line.

    Examples
    --------
    >>> mean_lumbar_hu(27.0)
    226.0
    """
    return float(np.interp(age_years, _AGE_YEARS, _L1_HU))


def draw_lumbar_hu(age_years: float, rng: np.random.Generator) -> float:
    """Draw the density of lumbar spongiosa of a patient of an age, HU, at least 20 HU."""
    spread = float(np.interp(age_years, _AGE_YEARS, _SPREAD_HU))
    return float(max(mean_lumbar_hu(age_years) + rng.normal(0, spread), _LEAST_HU))
