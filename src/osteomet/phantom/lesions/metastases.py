"""Metastases: how many, where, how large, of which kind.

References
----------
Liu X. et al. Detection and segmentation of pelvic bones metastases in MRI images for patients with prostate cancer
based on deep learning. Front Oncol 2021;11:773299. https://doi.org/10.3389/fonc.2021.773299
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import UsageError
from osteomet.core.vocabulary import STRUCTURES, Group, LesionType
from osteomet.phantom.geometry.distances import VERTEBRAL_BODY
from osteomet.phantom.geometry.shapes import Shapes
from osteomet.phantom.lesions.deposits import BREACH_MM, METASTASIS, Deposit, random_phase
from osteomet.phantom.lesions.sites import Look, Place, cast, metastatic_point, site_odds

LEAST_LYTIC_CONTRAST_HU = 25.0
LEAST_DIAMETER_MM, LARGEST_DIAMETER_MM = 3.0, 50.0
MOST_OUTGROWTH_MM = 10.0
_SHARE_OF_GAP = 0.35
_MEDIAN_RADIUS_MM, _SPREAD = 6.5, 0.6
# Patients with metastases by number of lesions: 30, 36, 24 and 44 of the 134 of Liu 2021 (training set).
_COUNT_ODDS = {(1, 1): 30 / 134, (2, 3): 36 / 134, (4, 5): 24 / 134, (6, 60): 44 / 134}
_MEAN_BEYOND_FIVE = 5.0
# Odds of lytic, sclerotic and mixed lesions in three kinds of patients: lesions of one patient resemble each other.
_KIND_ODDS = ((0.85, 0.05, 0.10), (0.05, 0.85, 0.10), (0.40, 0.30, 0.30))
_PATIENT_ODDS = (0.42, 0.33, 0.25)
_TREATED_ODDS = 0.2
_PERMEATIVE_ODDS = 0.3
_PERMEATIVE_CONTRAST_HU = 4 * LEAST_LYTIC_CONTRAST_HU
"""Least contrast between marrow and filling of a permeative lysis, which takes only a half of it at its surface."""
_CONCENTRATED = (Group.CERVICAL, Group.THORACIC, Group.LUMBAR, Group.SACRAL, Group.PELVIS)


@dataclass(frozen=True, slots=True)
class Disease:
    """What the metastases of one patient share: odds of lytic, sclerotic and mixed, and of a response to therapy."""

    kind_odds: tuple[float, float, float]
    treated: float
    occult: float


def sample_number(rng: np.random.Generator) -> int:
    """Draw how many metastases a patient with metastases has: 1, 2–3, 4–5 or more, as often as Liu 2021 counted.

    Beyond five the number is 5 plus a geometric one of mean 5: 664 lesions of 134 patients leave about 10 for each.
    """
    low, high = list(_COUNT_ODDS)[int(rng.choice(len(_COUNT_ODDS), p=list(_COUNT_ODDS.values())))]
    if low > 5:
        return min(5 + int(rng.geometric(1 / _MEAN_BEYOND_FIVE)), high)
    return int(rng.integers(low, high + 1))


def sample_metastases(
    rng: np.random.Generator,
    bones: Shapes,
    spongiosa_hu: NDArray[np.float32],
    *,
    n: int,
    in_levels: Collection[str] = (),
    occult: float = 0.0,
) -> list[Deposit]:
    """Draw ``n`` metastases at preferred sites; diameters from 3 to 50 mm, log-normal with a median of 13 mm.

    Parameters
    ----------
    spongiosa_hu
        Density of each bone by id. Where it exceeds soft tissue by less than `LEAST_LYTIC_CONTRAST_HU` the
        metastasis is sclerotic: a lysis that no reader could see must not be taught.
    in_levels
        Vertebrae that have collapsed under a metastasis: the first ones of the ``n`` fill their bodies.
    occult
        Share of metastases that replace marrow and leave trabeculae, so that MR alone shows them.

    Raises
    ------
    UsageError
        If ``n`` is negative, or smaller than the number of collapsed levels.
    """
    if n < len(in_levels):
        raise UsageError(
            "a number of metastases is not negative, and not below the number of vertebrae that collapsed under one",
            expected=f"{len(in_levels)} or more",
            got=str(n),
            remedy="ask for more, or for fewer collapsed vertebrae",
        )
    disease = draw_disease(rng, occult=occult)
    odds, look = site_odds(bones), partial(cast, bones)
    found = [_in_collapsed(rng, bones, spongiosa_hu, level) for level in in_levels]
    while len(found) < n:
        row = int(rng.choice(len(bones), p=odds))
        place = Place(int(bones.owners[row]), int(bones.parts[row]), metastatic_point(rng, bones, row))
        found.append(draw_metastasis(rng, place, disease, look, marrow_hu=float(spongiosa_hu[place.owner])))
    return found


def draw_disease(rng: np.random.Generator, *, occult: float = 0.0) -> Disease:
    """Draw what the metastases of one patient share."""
    return Disease(
        _KIND_ODDS[int(rng.choice(len(_KIND_ODDS), p=_PATIENT_ODDS))], 0.7 * (rng.random() < _TREATED_ODDS), occult
    )


def draw_metastasis(
    rng: np.random.Generator, place: Place, disease: Disease, look: Look, *, marrow_hu: float
) -> Deposit:
    """Draw one metastasis about a place in a bone.

    ``look`` sees what lies along a line from there: where a mass may leave the bone, and how far.
    """
    low, high = LEAST_DIAMETER_MM / 2, LARGEST_DIAMETER_MM / 2
    radius = float(np.clip(rng.lognormal(np.log(_MEDIAN_RADIUS_MM), _SPREAD), low, high))
    kind = str(rng.choice(["lytic", "sclerotic", "mixed"], p=disease.kind_odds))
    fill_hu = _fill_hu(rng, marrow_hu)
    if marrow_hu < fill_hu + LEAST_LYTIC_CONTRAST_HU:
        kind = "sclerotic"
    if rng.random() < disease.occult:
        kind = "marrow"
    treated = bool(rng.random() < disease.treated)
    if treated and kind == "lytic" and rng.random() < 0.6:
        kind = "sclerotic"
    lobes = _lobes(rng, place.centre_mm, radius, at_least=2 if kind == "mixed" else 1)
    types = _types(kind, len(lobes))
    breach = bool(rng.random() < 0.6)
    deposit = _permeated(
        rng,
        Deposit(
            lobes_mm=lobes,
            types=types,
            owner=place.owner,
            cause=METASTASIS,
            fill_hu=fill_hu,
            shift_hu=_shift_hu(rng, treated=treated),
            edge_mm=_edge_mm(rng, radius, treated=treated),
            ripple_mm=float(min(radius * rng.uniform(0.1, 0.5), 4.5)),
            phase=random_phase(rng),
            rim_hu=float(rng.uniform(100, 400) if rng.random() < (0.6 if treated else 0.12) else 0.0),
            breach=breach,
            soft_hu=float(rng.uniform(30, 80)),
            treated=treated,
            mottle=float(rng.uniform(0, 0.5)),
            part=place.part,
        ),
        marrow_hu=marrow_hu,
    )
    return _with_outgrowth(rng, look, deposit)


def _in_collapsed(rng: np.random.Generator, bones: Shapes, spongiosa_hu: NDArray[np.float32], level: str) -> Deposit:
    """A metastasis that fills most of the body of a collapsed vertebra and breaks out of it."""
    owner = STRUCTURES[level].id
    row = int(np.flatnonzero((bones.owners == owner) & (bones.kinds == VERTEBRAL_BODY))[0])
    half_width, half_depth, half_height = bones.parameters[row, 12:15]
    axes = bones.parameters[row, 3:12].reshape(3, 3)
    radius = 0.8 * min(half_depth, half_width)
    centre = bones.parameters[row, :3] + axes @ (rng.uniform(-0.25, 0.25, 3) * [half_width, half_depth, half_height])
    kind = "lytic" if rng.random() < 0.6 else "mixed"
    marrow = float(spongiosa_hu[owner])
    fill_hu = float(rng.uniform(25, 60))
    if marrow < fill_hu + LEAST_LYTIC_CONTRAST_HU:
        kind = "sclerotic"
    lobes = _lobes(rng, centre, float(radius), at_least=3)
    deposit = Deposit(
        lobes_mm=lobes,
        types=_types(kind, len(lobes)),
        owner=owner,
        cause=METASTASIS,
        fill_hu=fill_hu,
        shift_hu=float(rng.uniform(200, 600)),
        edge_mm=float(rng.uniform(0.6, 2.0)),
        ripple_mm=float(radius * rng.uniform(0.1, 0.25)),
        phase=random_phase(rng),
        rim_hu=0.0,
        breach=True,
        soft_hu=float(rng.uniform(30, 80)),
        mottle=0.4,
        part=int(bones.parts[row]),
    )
    return _with_outgrowth(rng, partial(cast, bones), deposit, odds=0.7)


def _types(kind: str, n: int) -> tuple[LesionType, ...]:
    """Type of each lobe: lobes of a mixed metastasis take turns."""
    if kind == "mixed":
        return tuple((LesionType.LYTIC, LesionType.SCLEROTIC)[lobe % 2] for lobe in range(n))
    return (LesionType(kind),) * n


def _fill_hu(rng: np.random.Generator, marrow_hu: float) -> float:
    """Density of lysis: soft tissue, or one time in three thinned trabeculae hardly darker than the marrow."""
    tissue = float(rng.uniform(15, 70))
    contrast = (marrow_hu - tissue) * (rng.uniform(0.2, 0.6) if rng.random() < 0.33 else 1.0)
    return float(max(marrow_hu - max(contrast, LEAST_LYTIC_CONTRAST_HU), tissue))


def _shift_hu(rng: np.random.Generator, *, treated: bool) -> float:
    """What sclerosis adds: faint, plain or dense; dense more often after therapy."""
    low, high = ((100, 200), (200, 500), (500, 1000))[
        int(rng.choice(3, p=(0.1, 0.3, 0.6) if treated else (0.35, 0.4, 0.25)))
    ]
    return float(rng.uniform(low, high))


def _edge_mm(rng: np.random.Generator, radius_mm: float, *, treated: bool) -> float:
    """Half width of the margin: sharp, usual or permeative, never more than the metastasis can hold."""
    low, high = ((0.3, 0.9), (0.9, 2.2), (2.2, 5.0))[
        int(rng.choice(3, p=(0.7, 0.25, 0.05) if treated else (0.4, 0.4, 0.2)))
    ]
    return float(min(rng.uniform(low, high), max(0.5 * radius_mm, 0.3)))


def _permeated(rng: np.random.Generator, deposit: Deposit, *, marrow_hu: float) -> Deposit:
    """Let some lytic metastases come as many small holes with a blurred margin, where enough contrast is left."""
    is_plain = marrow_hu - deposit.fill_hu > _PERMEATIVE_CONTRAST_HU and not deposit.treated
    if LesionType.LYTIC not in deposit.types or not is_plain or rng.random() > _PERMEATIVE_ODDS:
        return deposit
    edge = np.clip(deposit.edge_mm, min(1.5, 0.5 * deposit.lobes_mm[0, 3]), 2.5)
    return replace(deposit, hole_mm=float(rng.uniform(1.8, 4.0)), edge_mm=float(edge), rim_hu=0.0)


def _lobes(
    rng: np.random.Generator, centre: NDArray[np.float64], radius_mm: float, *, at_least: int
) -> NDArray[np.float64]:
    """Lobes that bud from one another, the first one the largest; small metastases have one."""
    n = max(at_least, 1 if radius_mm < 3 else int(rng.integers(2, 4 + min(5, int(radius_mm / 3)))))
    lobes = np.empty((n, 4))
    lobes[0] = [*centre, radius_mm]
    for lobe in range(1, n):
        parent = lobes[int(rng.integers(lobe))]
        direction = rng.normal(size=3)
        size = max(radius_mm * rng.uniform(0.25, 0.75), 0.75)
        step = direction / np.linalg.norm(direction) * (parent[3] * rng.uniform(0.6, 0.95) + 0.4 * size)
        lobes[lobe] = [*(parent[:3] + step), size]
    return lobes


def _with_outgrowth(rng: np.random.Generator, look: Look, deposit: Deposit, *, odds: float = 0.35) -> Deposit:
    """Let some lytic metastases near the surface grow a mass into the canal or beside the bone.

    The mass is a lobe about the place where a random line leaves the bone. It reaches no further than
    `MOST_OUTGROWTH_MM` and about a third of the way to the next bone, so it never crosses the canal.
    """
    is_open = deposit.breach and deposit.types[0] is LesionType.LYTIC
    group = next(s.group for s in STRUCTURES.values() if s.id == deposit.owner)
    if not is_open or deposit.lobes_mm[0, 3] < 4 or group not in _CONCENTRATED or rng.random() > odds:
        return deposit
    direction = rng.normal(size=3) * [1.0, 1.0, 0.4]
    direction /= np.linalg.norm(direction)
    centre, radius = deposit.lobes_mm[0, :3], deposit.lobes_mm[0, 3]
    ray = look(centre, direction, length_mm=radius + 4 * MOST_OUTGROWTH_MM)
    if ray.exit_mm is None or ray.exit_mm > 1.2 * radius:
        return deposit
    reach = float(min(rng.uniform(0.5, 1.0) * MOST_OUTGROWTH_MM, _SHARE_OF_GAP * ray.gap_mm))
    if reach < BREACH_MM:
        return deposit
    mass = [*(centre + direction * ray.exit_mm), reach * rng.uniform(1.0, 1.3)]
    return replace(
        deposit,
        lobes_mm=np.vstack([deposit.lobes_mm, mass]),
        types=(*deposit.types, LesionType.LYTIC),
        outgrow_mm=(*deposit.outgrowth_mm(), reach),
    )
