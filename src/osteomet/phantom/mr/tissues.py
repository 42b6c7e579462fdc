"""One table of what each tissue is to a magnetic resonance scanner, and patients drawn around it.

Relaxation times are those of the water of a tissue; fat has its own (`FAT`), because a voxel of marrow holds both and
every sequence weighs them apart. A row names its source; ``CHOSEN`` marks a value without one, set so that the
contrasts that radiologists describe come out (``docs/explanation/how-mr-is-simulated.md``).

References
----------
Stanisz G.J. et al. 2005, relaxation at 1.5 T and 3 T, 37 °C: https://doi.org/10.1002/mrm.20605
de Bazelaire C.M.J. et al. 2004, abdomen, pelvis and marrow: https://doi.org/10.1148/radiol.2303021331
Gold G.E. et al. 2004, fat, cartilage and fluid: https://doi.org/10.2214/ajr.183.2.1830343
Messiou C. et al. 2011, ADC of marrow and its metastases: https://doi.org/10.1007/s00330-011-2116-4. It parted marrow
from metastasis and myeloma at 0.66 µm²/ms and found 1.05 ± 0.46 in these; the values below lie to either side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, auto
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import UsageError

Values = NDArray[np.float64]
CHOSEN = "chosen"
FIELD_STRENGTHS_T = (1.5, 3.0)


class Tissue(IntEnum):
    """Index of a tissue in every table and in the arrays of a `Composition`; 0 is the air around the patient."""

    AIR = 0
    RED_MARROW = auto()
    YELLOW_MARROW = auto()
    MIXED_MARROW = auto()
    CORTICAL_BONE = auto()
    NUCLEUS_HYDRATED = auto()
    NUCLEUS_DEGENERATED = auto()
    ANNULUS = auto()
    LIGAMENT = auto()
    CARTILAGE = auto()
    CSF = auto()
    CORD = auto()
    NERVE_ROOT = auto()
    MUSCLE = auto()
    SUBCUTANEOUS_FAT = auto()
    EPIDURAL_FAT = auto()
    ARTERY = auto()
    VEIN = auto()
    KIDNEY = auto()
    LIVER = auto()
    BOWEL_WALL = auto()
    BOWEL_CONTENT = auto()
    GAS = auto()
    URINE = auto()
    LUNG = auto()
    METASTASIS = auto()
    METASTASIS_SCLEROTIC = auto()
    METASTASIS_TREATED = auto()
    PRIMARY_TUMOUR = auto()
    HAEMANGIOMA = auto()
    MODIC_1 = auto()
    MODIC_2 = auto()
    MODIC_3 = auto()
    OEDEMA = auto()
    CYST = auto()
    BONE_ISLAND = auto()
    CEMENT = auto()
    METAL = auto()
    LYMPH_NODE = auto()
    SKIN = auto()
    CSF_STREAM = auto()


@dataclass(frozen=True, slots=True)
class Relaxation:
    """Relaxation times at one field strength, ms."""

    t1_ms: float
    t2_ms: float
    t2_star_ms: float


@dataclass(frozen=True, slots=True)
class Kinetics:
    """How contrast medium enters: transfer constant (per minute), share of extracellular space and of plasma."""

    ktrans_per_min: float
    ve: float
    vp: float


@dataclass(frozen=True, slots=True)
class TissueProperties:
    """One tissue.

    ``proton_density`` is relative to pure water, ``fat_fraction`` the share of it that is fat, ``adc_um2_per_ms`` the
    apparent diffusion coefficient of its water (1 µm²/ms is 10⁻³ mm²/s), ``flow`` the share of its signal that a spin
    echo loses because spins leave the slice, ``is_lesion`` whether patients differ widely in it.
    """

    proton_density: float
    fat_fraction: float
    at_1_5_t: Relaxation
    at_3_t: Relaxation
    adc_um2_per_ms: float
    kinetics: Kinetics
    source: str
    flow: float = 0.0
    is_lesion: bool = False


FAT = MappingProxyType({1.5: Relaxation(288, 165, 60), 3.0: Relaxation(371, 133, 40)})
"""Fat in every tissue, by field strength in tesla (T1 and T2: Gold 2004). T2* is that of the tissue around it."""

_STANISZ, _BAZELAIRE, _GOLD = "Stanisz 2005", "de Bazelaire 2004", "Gold 2004"


def _row(
    proton_density: float,
    fat_fraction: float,
    at_1_5_t: tuple[float, float, float],
    at_3_t: tuple[float, float, float],
    adc: float,
    kinetics: tuple[float, float, float],
    source: str = CHOSEN,
    **rest: float,
) -> TissueProperties:
    """One line of the table below."""
    return TissueProperties(
        proton_density,
        fat_fraction,
        Relaxation(*at_1_5_t),
        Relaxation(*at_3_t),
        adc,
        Kinetics(*kinetics),
        source,
        flow=rest.get("flow", 0.0),
        is_lesion=bool(rest.get("lesion", 0)),
    )


_NONE = (0.0, 0.1, 0.0)
_VOID = ((300, 1, 0.5), (300, 1, 0.5))

# fmt: off
TISSUES: Mapping[Tissue, TissueProperties] = MappingProxyType({
    # density, fat; T1, T2, T2* at 1.5 T; at 3 T; ADC; Ktrans, ve, vp
    Tissue.AIR: _row(0.0, 0.0, *_VOID, 0.0, _NONE),
    Tissue.RED_MARROW: _row(0.75, 0.30, (850, 42, 16), (1050, 38, 11), 0.55, (0.050, 0.12, 0.030),
                            "Messiou 2011 (ADC), others chosen"),
    Tissue.YELLOW_MARROW: _row(0.85, 0.85, (700, 40, 18), (850, 36, 13), 0.30, (0.008, 0.06, 0.006),
                               "Messiou 2011 (ADC), others chosen"),
    Tissue.MIXED_MARROW: _row(0.78, 0.50, (800, 41, 17), (980, 37, 12), 0.45, (0.030, 0.10, 0.020),
                              "between red and yellow, by the fat fraction of the voxel"),
    Tissue.CORTICAL_BONE: _row(0.15, 0.05, (220, 0.5, 0.4), (250, 0.4, 0.3), 0.3, (0.003, 0.05, 0.003)),
    Tissue.NUCLEUS_HYDRATED: _row(0.88, 0.0, (1250, 125, 85), (1450, 105, 65), 1.85, (0.002, 0.05, 0.0)),
    Tissue.NUCLEUS_DEGENERATED: _row(0.66, 0.0, (900, 52, 30), (1080, 46, 24), 1.25, (0.006, 0.08, 0.0)),
    Tissue.ANNULUS: _row(0.52, 0.0, (750, 32, 16), (900, 28, 12), 1.15, (0.004, 0.06, 0.0)),
    Tissue.LIGAMENT: _row(0.35, 0.02, (600, 7, 4), (700, 6, 3), 0.8, (0.010, 0.08, 0.005)),
    Tissue.CARTILAGE: _row(0.75, 0.0, (1060, 42, 25), (1240, 37, 20), 1.3, (0.004, 0.10, 0.0), _GOLD),
    Tissue.CSF: _row(1.0, 0.0, (4000, 2000, 700), (4300, 1800, 500), 3.0, _NONE, flow=0.12),
    Tissue.CORD: _row(0.72, 0.0, (745, 74, 55), (993, 78, 45), 0.85, (0.002, 0.10, 0.015), _STANISZ),
    Tissue.NERVE_ROOT: _row(0.75, 0.0, (815, 77, 50), (1083, 78, 40), 1.1, (0.006, 0.10, 0.020), _STANISZ),
    Tissue.MUSCLE: _row(0.76, 0.04, (1008, 38, 32), (1412, 36, 26), 1.35, (0.035, 0.11, 0.015),
                        "Stanisz 2005 (T1), T2 between Stanisz 2005 and Gold 2004"),
    Tissue.SUBCUTANEOUS_FAT: _row(0.92, 0.94, (700, 45, 30), (850, 40, 24), 0.4, (0.008, 0.06, 0.005), _GOLD),
    Tissue.EPIDURAL_FAT: _row(0.92, 0.90, (750, 45, 30), (900, 40, 24), 0.4, (0.020, 0.08, 0.020), _GOLD),
    Tissue.ARTERY: _row(0.85, 0.0, (1441, 290, 150), (1932, 275, 90), 2.0, (0.0, 0.1, 0.58), _STANISZ, flow=0.95),
    Tissue.VEIN: _row(0.85, 0.0, (1441, 190, 70), (1932, 110, 25), 2.0, (0.0, 0.1, 0.58),
                      "Stanisz 2005 (T1), T2 shortened by deoxygenation chosen", flow=0.70),
    Tissue.KIDNEY: _row(0.82, 0.01, (966, 87, 55), (1142, 76, 40), 2.1, (0.350, 0.30, 0.150), _BAZELAIRE),
    Tissue.LIVER: _row(0.75, 0.05, (576, 46, 28), (812, 42, 20), 1.15, (0.250, 0.25, 0.080), _STANISZ),
    Tissue.BOWEL_WALL: _row(0.78, 0.02, (950, 60, 30), (1150, 55, 22), 1.4, (0.150, 0.25, 0.040)),
    Tissue.BOWEL_CONTENT: _row(0.75, 0.05, (900, 90, 20), (1050, 80, 12), 1.9, _NONE),
    Tissue.GAS: _row(0.0, 0.0, *_VOID, 0.0, _NONE),
    Tissue.URINE: _row(1.0, 0.0, (3500, 1500, 500), (3800, 1300, 350), 2.9, _NONE),
    Tissue.LUNG: _row(0.20, 0.0, (1200, 40, 1.6), (1300, 35, 0.8), 2.0, (0.100, 0.30, 0.150), flow=0.2),
    Tissue.METASTASIS: _row(0.70, 0.02, (1230, 84, 45), (1620, 78, 35), 0.85, (0.260, 0.32, 0.060),
                            "Messiou 2011 (ADC), others chosen", lesion=1),
    Tissue.METASTASIS_SCLEROTIC: _row(0.32, 0.02, (950, 34, 7), (1150, 30, 4.5), 0.65, (0.100, 0.20, 0.020),
                                      lesion=1),
    Tissue.METASTASIS_TREATED: _row(0.74, 0.12, (1150, 100, 45), (1450, 92, 35), 1.60, (0.060, 0.30, 0.015),
                                    "Messiou 2011 (ADC), others chosen", lesion=1),
    Tissue.PRIMARY_TUMOUR: _row(0.78, 0.01, (1250, 125, 60), (1600, 115, 45), 1.25, (0.090, 0.50, 0.025), lesion=1),
    Tissue.HAEMANGIOMA: _row(0.88, 0.50, (1100, 150, 35), (1400, 130, 25), 1.60, (0.090, 0.30, 0.120), lesion=1),
    Tissue.MODIC_1: _row(0.78, 0.18, (1100, 85, 25), (1350, 78, 18), 1.10, (0.100, 0.28, 0.030), lesion=1),
    Tissue.MODIC_2: _row(0.86, 0.80, (800, 50, 20), (950, 45, 15), 0.40, (0.015, 0.08, 0.010), lesion=1),
    Tissue.MODIC_3: _row(0.28, 0.15, (700, 25, 5), (850, 22, 3.5), 0.60, (0.020, 0.10, 0.010), lesion=1),
    Tissue.OEDEMA: _row(0.80, 0.20, (1150, 92, 28), (1400, 84, 20), 1.35, (0.080, 0.25, 0.030), lesion=1),
    Tissue.CYST: _row(0.98, 0.0, (3300, 1200, 400), (3600, 1000, 300), 2.80, _NONE),
    Tissue.BONE_ISLAND: _row(0.12, 0.05, (350, 2, 0.8), (400, 1.6, 0.6), 0.4, (0.003, 0.05, 0.003)),
    Tissue.CEMENT: _row(0.02, 0.0, *_VOID, 0.0, _NONE),
    Tissue.METAL: _row(0.0, 0.0, *_VOID, 0.0, _NONE),
    Tissue.LYMPH_NODE: _row(0.78, 0.06, (1000, 82, 45), (1250, 76, 35), 0.95, (0.120, 0.25, 0.040)),
    Tissue.SKIN: _row(0.65, 0.05, (850, 28, 12), (1050, 25, 9), 1.2, (0.020, 0.15, 0.015)),
    Tissue.CSF_STREAM: _row(1.0, 0.0, (4000, 2000, 700), (4300, 1800, 500), 3.0, _NONE, flow=0.85),
})
# fmt: on


@dataclass(frozen=True, slots=True, eq=False)
class TissueTable:
    """Properties of all tissues of one patient at one field strength, arrays indexed by `Tissue`."""

    field_strength_t: float
    proton_density: Values
    fat_fraction: Values
    t1_ms: Values
    t2_ms: Values
    t2_star_ms: Values
    adc_um2_per_ms: Values
    ktrans_per_min: Values
    ve: Values
    vp: Values
    flow: Values
    fat_t1_ms: float
    fat_t2_ms: float


def tissue_table(field_strength_t: float, rng: np.random.Generator | None = None) -> TissueTable:
    """Gather the table at 1.5 T or 3 T, of the mean patient or of one drawn by ``rng``.

    A drawn patient differs from the mean by a few percent in healthy tissue and by about a sixth in lesions; blood is
    left as it is. The share of plasma and extracellular space is cut where both would exceed the voxel.

    Raises
    ------
    UsageError
        At any other field strength: relaxation times are tabulated, not extrapolated.

    Examples
    --------
    >>> tissue_table(1.5).t1_ms[Tissue.MUSCLE].item()
    1008.0
    """
    if field_strength_t not in FIELD_STRENGTHS_T:
        raise UsageError(
            "no relaxation times at this field strength",
            expected="1.5 or 3.0 T",
            got=f"{field_strength_t:g} T",
            remedy="simulate the nearer of the two",
        )
    rows = [TISSUES[tissue] for tissue in Tissue]
    times = [row.at_1_5_t if field_strength_t == 1.5 else row.at_3_t for row in rows]
    spread = np.array([0.16 if row.is_lesion else 0.05 for row in rows])

    def vary(weight: float) -> Values:
        """Lognormal factors around 1; all 1 for the mean patient."""
        if rng is None:
            return np.ones_like(spread)
        return np.asarray(np.exp(weight * spread * rng.standard_normal(spread.size).clip(-2.5, 2.5)))

    kinetics = [row.kinetics for row in rows]
    is_blood = np.array([k.vp > 0.5 for k in kinetics])
    t2, t2_star = (np.array([getattr(t, name) for t in times]) for name in ("t2_ms", "t2_star_ms"))
    slower = vary(1.0)
    vp = np.array([k.vp for k in kinetics]) * np.where(is_blood, 1.0, vary(3.0))
    fat = FAT[field_strength_t]
    return TissueTable(
        field_strength_t=field_strength_t,
        proton_density=np.minimum(np.array([row.proton_density for row in rows]) * vary(0.5), 1.0),
        fat_fraction=np.array([row.fat_fraction for row in rows]),
        t1_ms=np.array([t.t1_ms for t in times]) * vary(0.6),
        t2_ms=t2 * slower,
        t2_star_ms=t2_star * slower,
        adc_um2_per_ms=np.array([row.adc_um2_per_ms for row in rows]) * np.where(is_blood, 1.0, vary(1.0)),
        ktrans_per_min=np.array([k.ktrans_per_min for k in kinetics]) * vary(2.5),
        ve=np.minimum(np.array([k.ve for k in kinetics]) * vary(1.5), np.where(is_blood, 1.0, 1 - vp)),
        vp=vp,
        flow=np.array([row.flow for row in rows]),
        fat_t1_ms=fat.t1_ms * float(vary(1.0)[0]),
        fat_t2_ms=fat.t2_ms * float(vary(1.0)[0]),
    )
