"""Contrast phases: how dense blood and organs are when a scan begins so long after the injection.

Blood does not enhance everywhere at once: the injected arm vein comes first, then the right heart and the lungs, the
left heart and the aorta, the veins of kidneys and bowel, and last those of the legs.

References
----------
Bae K.T. 2010, enhancement of vessels and organs by phase: https://doi.org/10.1148/radiol.10090908
Pickhardt P.J. et al. Osteoporos Int 2016;27:147-152: contrast medium raises spongiosa by 11 HU in the portal phase
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Mean HU of blood by region and of organs in one phase, and what contrast medium adds to marrow.

    ``artery_hu`` holds for the left heart too, ``pulmonary_hu`` for the right heart and the pulmonary arteries,
    ``upper_vein_hu`` for the veins between the arm and the right heart, ``vein_hu`` for those below the kidneys.
    """

    artery_hu: float
    pulmonary_hu: float
    upper_vein_hu: float
    vein_hu: float
    renal_vein_hu: float
    portal_hu: float
    myocardium_hu: float
    kidney_hu: float
    medulla_hu: float
    liver_hu: float
    spleen_hu: float
    urine_hu: float
    marrow_shift_hu: float


PHASES: Mapping[str, Phase] = MappingProxyType(
    {
        "native": Phase(
            artery_hu=42, pulmonary_hu=42, upper_vein_hu=41, vein_hu=41, renal_vein_hu=41, portal_hu=41,
            myocardium_hu=48, kidney_hu=33, medulla_hu=30, liver_hu=56, spleen_hu=48, urine_hu=5, marrow_shift_hu=0,
        ),
        "pulmonary": Phase(
            artery_hu=190, pulmonary_hu=430, upper_vein_hu=900, vein_hu=44, renal_vein_hu=70, portal_hu=45,
            myocardium_hu=70, kidney_hu=80, medulla_hu=38, liver_hu=57, spleen_hu=60, urine_hu=5, marrow_shift_hu=1,
        ),
        "arterial": Phase(
            artery_hu=370, pulmonary_hu=330, upper_vein_hu=480, vein_hu=60, renal_vein_hu=190, portal_hu=85,
            myocardium_hu=105, kidney_hu=170, medulla_hu=70, liver_hu=70, spleen_hu=125, urine_hu=5, marrow_shift_hu=4,
        ),
        "portal": Phase(
            artery_hu=160, pulmonary_hu=155, upper_vein_hu=160, vein_hu=150, renal_vein_hu=165, portal_hu=170,
            myocardium_hu=110, kidney_hu=185, medulla_hu=150, liver_hu=112, spleen_hu=122, urine_hu=10,
            marrow_shift_hu=11,
        ),
        "delayed": Phase(
            artery_hu=105, pulmonary_hu=105, upper_vein_hu=104, vein_hu=104, renal_vein_hu=104, portal_hu=106,
            myocardium_hu=85, kidney_hu=135, medulla_hu=145, liver_hu=88, spleen_hu=92, urine_hu=700,
            marrow_shift_hu=7,
        ),
    }
)  # fmt: skip
"""Native, pulmonary arterial (about 15 s), arterial (30 s), portal venous (70 s), delayed (5 min or more)."""
PHASE_ODDS: Mapping[str, float] = MappingProxyType(
    {"native": 0.34, "pulmonary": 0.08, "arterial": 0.16, "portal": 0.34, "delayed": 0.08}
)
"""How often each phase is drawn: our choice, for cancer clinics, where the portal venous phase prevails."""
