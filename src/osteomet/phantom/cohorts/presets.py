"""The cohorts as frozen tables: who is in them, where they were scanned, with which sequences.

Figures are those of the studies that the cohorts are modelled on, where these state them.

References
----------
kim2024: whole-spine MRI of three centres and an external one (tables 1 and 4).
liu2021: pelvic MRI of prostate cancer, https://doi.org/10.3389/fonc.2021.773299 (tables 2 and 3).
wangh2024: dynamic MRI of metastases and primary bone tumours (sections 2.1 and 2.2).
wangd2023: spine MRI in three grades (section 2.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from osteomet.core.errors import UsageError
from osteomet.core.vocabulary import SequenceRole
from osteomet.phantom.cohorts.patients import Ages, Skewed
from osteomet.phantom.cohorts.strata import Stratum
from osteomet.phantom.mr.geometry import Orientation

TRAIN, VALIDATION, TEST, EXTERNAL = "train", "validation", "test", "external"
METASTASIS, NO_METASTASIS, PRIMARY = "metastasis", "no metastasis", "primary bone tumour"
GRADES = ("none", "mild", "apparent")


@dataclass(frozen=True, slots=True)
class Scanner:
    """A scanner of a centre, field strength in tesla."""

    name: str
    field_strength_t: float


@dataclass(frozen=True, slots=True)
class StackPlan:
    """How slices are planned: plane, limits of thickness, gap as a share of it, and of the pixel size, mm."""

    orientation: Orientation
    slice_mm: tuple[float, ...]
    gap_share: tuple[float, float]
    in_plane_mm: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Preset:
    """One cohort.

    Parameters
    ----------
    name, summary
        What it is called, and one line about it.
    strata
        Patients by part, centre and diagnosis (or grade), in the numbers of the study.
    ages
        By part of the study, ``""`` for all others.
    sexes
        Patients by sex, F and M.
    roles
        Sequences; one channel each (all phases of a dynamic series).
    scanners
        By centre, with odds.
    plan
        Stacks of slices; None for CT.
    lacking
        Sequences that a centre does not have.
    primary_sites
        Organs that metastases come from, with odds.
    psa, free_share
        Prostate-specific antigen in ng/ml, and the free share of it.
    """

    name: str
    summary: str
    strata: Mapping[Stratum, float]
    ages: Mapping[str, Ages]
    sexes: Mapping[str, float]
    roles: tuple[SequenceRole, ...]
    scanners: Mapping[str, Mapping[Scanner, float]]
    plan: StackPlan | None = None
    lacking: Mapping[str, frozenset[SequenceRole]] = field(default_factory=dict)
    primary_sites: Mapping[str, float] = field(default_factory=dict)
    psa: Skewed | None = None
    free_share: Skewed | None = None

    def roles_at(self, centre: str) -> tuple[SequenceRole, ...]:
        """Sequences that a centre acquires."""
        return tuple(role for role in self.roles if role not in self.lacking.get(centre, frozenset()))


def preset_of(cohort: str) -> Preset:
    """Look a cohort up by name.

    Raises
    ------
    UsageError
        If there is no such cohort.
    """
    if cohort not in COHORTS:
        raise UsageError(
            "there is no such cohort",
            expected=" or ".join(COHORTS),
            got=cohort,
            remedy="pass one of these names; `osteomet synth --help` says what each one is",
        )
    return COHORTS[cohort]


_ADULTS = {"": Ages(62, 13)}
_BOTH = {"F": 1, "M": 1}
_CANCERS = {"breast": 30, "prostate": 25, "lung": 25, "kidney": 8, "thyroid": 4, "liver": 4, "colon": 4}
_CT = {"phantom": {Scanner("CT", 0.0): 1}}
_SAGITTAL = StackPlan(Orientation.SAGITTAL, (3.0, 4.0), (0.0, 0.15), (0.75, 1.0))

_CT_SPINE = Preset(
    "ct-spine",
    "CT of the spine and pelvis with lytic, sclerotic and mixed metastases among mimics",
    {Stratum(TRAIN, "phantom", METASTASIS): 1},
    _ADULTS,
    _BOTH,
    (SequenceRole.CT,),
    _CT,
    primary_sites=_CANCERS,
)

_KIM_SCANNERS = {
    "centre_1": {Scanner("GE Signa", 1.5): 1, Scanner("GE Discovery", 3.0): 1},
    "centre_2": {Scanner("Philips Ingenia", 3.0): 2, Scanner("Philips Achieva", 1.5): 1},
    "centre_3": {Scanner("Siemens Skyra", 3.0): 1, Scanner("Siemens Avanto", 1.5): 1},
    "centre_4": {Scanner("Siemens Aera", 1.5): 1},
}
_MR_SPINE = Preset(
    "mr-spine",
    "sagittal MRI of the whole spine in two or three stacks: T1, CE, FO; three centres, an external one without FO",
    {
        **{Stratum(TRAIN, f"centre_{c}", METASTASIS): 242 / 3 for c in (1, 2, 3)},
        **{Stratum(TEST, f"centre_{c}", METASTASIS): 60 / 3 for c in (1, 2, 3)},
        Stratum(EXTERNAL, "centre_4", METASTASIS): 20,
    },
    {TRAIN: Ages(63.5, 12.1), TEST: Ages(64.0, 9.7), EXTERNAL: Ages(65.9, 11.5)},
    {"M": 162, "F": 160},
    (SequenceRole.T1, SequenceRole.CE, SequenceRole.FO),
    _KIM_SCANNERS,
    _SAGITTAL,
    lacking={"centre_4": frozenset({SequenceRole.FO})},
    primary_sites=_CANCERS,
)

_LIU_PARTS = {TRAIN: (134, 132), VALIDATION: (18, 16), TEST: (16, 18), EXTERNAL: (31, 32)}
_MR_PELVIS = Preset(
    "mr-pelvis",
    "axial MRI of the pelvis in prostate cancer: DWI b 800 or 1000, ADC, T1 in phase; three scanners, with age and PSA",
    {
        Stratum(part, "centre_1", group): n
        for part, counts in _LIU_PARTS.items()
        for group, n in zip((METASTASIS, NO_METASTASIS), counts, strict=True)
    },
    {TRAIN: Ages(69.6, 10.4), VALIDATION: Ages(65.9, 11.2), TEST: Ages(68.7, 8.9), EXTERNAL: Ages(70.7, 8.1)},
    {"M": 1},
    (SequenceRole.DWI, SequenceRole.ADC, SequenceRole.T1_IP),
    {
        "centre_1": {
            Scanner("GE Discovery", 3.0): 172 + 17 + 20 + 31,
            Scanner("Philips Achieva", 3.0): 71 + 10 + 8 + 13,
            Scanner("Philips Intera", 3.0): 23 + 7 + 6 + 24,
        }
    },
    StackPlan(Orientation.AXIAL, (5.0, 6.0), (0.0, 0.2), (1.2, 1.6)),
    primary_sites={"prostate": 1},
    psa=Skewed(13.04, 9.10, 20.1),
    free_share=Skewed(0.12, 0.09, 0.18),
)

_CE_DYNAMIC = Preset(
    "ce-dynamic",
    "axial dynamic contrast MRI of a vertebra in 12 phases: metastasis or primary bone tumour",
    {Stratum(TRAIN, "centre_1", METASTASIS): 45, Stratum(TRAIN, "centre_1", PRIMARY): 36},
    {"": Ages(60.2, 11.4, 31, 80)},
    {"M": 42, "F": 39},
    (SequenceRole.DYNAMIC,),
    {"centre_1": {Scanner("Siemens Trio", 3.0): 1, Scanner("GE MR750", 3.0): 1}},
    StackPlan(Orientation.AXIAL, (3.0,), (0.0, 0.0), (0.98, 1.3)),
    primary_sites={"lung": 14, "breast": 9, "prostate": 7, "thyroid": 6, "liver": 5, "kidney": 4},
)

_GRADED = Preset(
    "graded",
    "sagittal MRI of the spine, T1 and T2, without, with mild or with apparent signs of metastasis",
    {
        Stratum(part, "centre_1", grade): share * n
        for part, share in ((TRAIN, 0.8), (TEST, 0.2))
        for grade, n in zip(GRADES, (305, 320, 316), strict=True)
    },
    _ADULTS,
    _BOTH,
    (SequenceRole.T1, SequenceRole.T2),
    {"centre_1": {Scanner("Siemens Avanto", 1.5): 1, Scanner("Philips Ingenia", 3.0): 1}},
    StackPlan(Orientation.SAGITTAL, (3.5, 4.0, 5.0), (0.05, 0.25), (0.8, 1.1)),
    primary_sites=_CANCERS,
)

_FOLLOW_UP = Preset(
    "follow-up",
    "pairs of CTs: stable, growing, shrinking, hardening, new, resolved, split and merged metastases, in a table",
    {Stratum(TRAIN, "phantom", METASTASIS): 1},
    _ADULTS,
    _BOTH,
    (SequenceRole.CT,),
    _CT,
    primary_sites=_CANCERS,
)

_READERS = Preset(
    "readers",
    "the external part of mr-spine with the marks and likelihoods of five simulated readers",
    {Stratum(EXTERNAL, "centre_4", METASTASIS): 1},
    {"": Ages(65.9, 11.5)},
    {"M": 11, "F": 9},
    (SequenceRole.T1, SequenceRole.CE),
    {"centre_4": _KIM_SCANNERS["centre_4"]},
    _SAGITTAL,
    primary_sites=_CANCERS,
)

COHORTS: Mapping[str, Preset] = MappingProxyType(
    {p.name: p for p in (_CT_SPINE, _MR_SPINE, _MR_PELVIS, _CE_DYNAMIC, _GRADED, _FOLLOW_UP, _READERS)}
)
"""Every cohort by name."""
