"""Metastases and their mimics as deposits: lobed shapes that change the density of the bone they sit in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.core.vocabulary import STRUCTURES, Group, LesionType
from osteomet.phantom.anatomy import Vertebra
from osteomet.phantom.shapes import Shapes, distance_to_one

LEAST_LYTIC_CONTRAST_HU = 40.0
# Left side, mm from the midpoint between the hip joints, as the landmarks of `bones`.
_ACETABULAR_ROOF_MM = np.array([84.0, 2.0, 33.0])
_SACROILIAC_MM = np.array([58.0, 50.0, 68.0])
_CALCAR_MM = np.array([118.0, 6.0, -38.0])
# Odds of each site, from the order of frequency that series of bone metastases report: column, pelvis, ribs, femora.
_SITE_ODDS = {
    Group.CERVICAL: 0.5,
    Group.THORACIC: 1.0,
    Group.LUMBAR: 1.3,
    Group.SACRAL: 1.0,
    Group.PELVIS: 1.0,
    Group.FEMUR: 0.5,
    Group.THORAX: 0.06,
}


@dataclass(frozen=True, slots=True, eq=False)
class Deposit:
    """A lobed change of bone density.

    ``lobes_mm`` has shape (n, 4): centre (LPS mm, in the unwarped frame) and radius. ``types`` names the change of each
    lobe; ``is_metastasis`` is False for a mimic, which changes the picture but not the labels. ``shift_hu`` is added to
    sclerotic lobes; lytic lobes move towards ``fill_hu``. ``breach`` lets a lytic lobe destroy cortex and outgrow it.
    """

    lobes_mm: NDArray[np.float64]
    types: tuple[LesionType, ...]
    owner: int
    is_metastasis: bool
    fill_hu: float
    shift_hu: float
    edge_mm: float
    ripple_mm: float
    phase: NDArray[np.float64]
    rim_hu: float
    breach: bool

    def distance_mm(self, points: NDArray[np.float32], lobe: int) -> NDArray[np.float32]:
        """Signed distance of points, shape (..., 3), to one rippled lobe, negative inside."""
        centre, radius = self.lobes_mm[lobe, :3].astype(np.float32), np.float32(self.lobes_mm[lobe, 3])
        offset = points - centre
        wave = np.sin(offset @ (self.phase[:3] / radius).T.astype(np.float32) + self.phase[3].astype(np.float32))
        smooth = np.sqrt((offset**2).sum(axis=-1)) - radius
        return np.asarray(smooth + np.float32(self.ripple_mm) * wave.mean(axis=-1), dtype=np.float32)


def sample_metastases(
    rng: np.random.Generator, bones: Shapes, spongiosa_hu: NDArray[np.float32], *, n: int
) -> list[Deposit]:
    """Draw ``n`` metastases at preferred sites; diameters from 6 mm, log-normal with a median of 14 mm.

    ``spongiosa_hu`` is the density of each bone by id. Where it exceeds soft tissue by less than
    `LEAST_LYTIC_CONTRAST_HU` the metastasis is sclerotic: a lysis that no reader could see must not be taught.
    """
    return [_metastasis(rng, bones, spongiosa_hu) for _ in range(n)]


def _metastasis(rng: np.random.Generator, bones: Shapes, spongiosa_hu: NDArray[np.float32]) -> Deposit:
    row = int(rng.choice(len(bones), p=_site_odds(bones)))
    centre = _point_inside(rng, bones, row)
    radius = float(np.clip(rng.lognormal(np.log(7), 0.5), 3.0, 22))
    kind = rng.choice(["lytic", "sclerotic", "mixed"], p=[0.5, 0.35, 0.15])
    fill_hu = float(rng.uniform(5, 75))
    if spongiosa_hu[bones.owners[row]] < fill_hu + LEAST_LYTIC_CONTRAST_HU:
        kind = "sclerotic"
    n_lobes = int(rng.integers(1, 5)) if radius > 4 else 1
    n_lobes = max(n_lobes, 2) if kind == "mixed" else n_lobes
    lobes = np.empty((n_lobes, 4))
    for lobe in range(n_lobes):
        direction = rng.normal(size=3)
        step = direction / np.linalg.norm(direction) * radius * (0.9 if kind == "mixed" else 0.7)
        lobes[lobe] = [*(centre + step * (lobe > 0)), radius * (1.0 if lobe == 0 else rng.uniform(0.5, 0.9))]
    if kind == "mixed":
        types = tuple((LesionType.LYTIC, LesionType.SCLEROTIC)[lobe % 2] for lobe in range(n_lobes))
    else:
        types = (LesionType(str(kind)),) * n_lobes
    return Deposit(
        lobes_mm=lobes,
        types=types,
        owner=int(bones.owners[row]),
        is_metastasis=True,
        fill_hu=fill_hu,
        shift_hu=float(rng.uniform(150, 350) if rng.random() < 0.45 else rng.uniform(350, 950)),
        edge_mm=float(rng.uniform(0.4, 2.0)),
        ripple_mm=float(radius * rng.uniform(0.1, 0.45)),
        phase=_random_phase(rng),
        rim_hu=float(rng.uniform(100, 400) if rng.random() < 0.15 else 0.0),
        breach=bool(rng.random() < 0.6),
    )


def sample_mimics(rng: np.random.Generator, vertebrae: tuple[Vertebra, ...], bones: Shapes) -> list[Deposit]:
    """Draw worn end plates and joints, Schmorl nodes, basivertebral veins and bone islands."""
    found: list[Deposit] = []
    wear = rng.beta(1.2, 2.5)
    for v in vertebrae:
        owner, half = STRUCTURES[v.name].id, v.height_mm / 2
        for end in (1.0, -1.0):
            if rng.random() < 0.35 * wear:
                found.append(_endplate_sclerosis(rng, v, owner, end))
            if rng.random() < 0.12 * wear:
                across, along = rng.uniform(-0.3, 0.3, 2) * [v.width_mm, v.depth_mm]
                place = v.at(across, along, end * (half - 1))
                found.append(_mimic(rng, place, rng.uniform(2.5, 5.0), LesionType.LYTIC, owner, rim_hu=250.0))
        for side in (1.0, -1.0):
            for w in (0.68, -0.72):
                if rng.random() < 0.3 + 0.6 * wear:
                    facet = v.at(side * 0.29 * v.width_mm, v.depth_mm / 2 + 13, w * v.height_mm)
                    found.append(_worn_joint(rng, facet, rng.uniform(3.0, 6.5), owner))
        if rng.random() < 0.8:
            vein = v.at(rng.uniform(-2, 2), v.depth_mm * 0.42, rng.uniform(-2, 2))
            found.append(_mimic(rng, vein, rng.uniform(1.8, 3.5), LesionType.LYTIC, owner))
    for side, word in ((1.0, "left"), (-1.0, "right")):
        for bone, place in (("hip", _ACETABULAR_ROOF_MM), ("hip", _SACROILIAC_MM), ("femur", _CALCAR_MM)):
            if rng.random() < 0.5:
                spot = place * [side, 1.0, 1.0] + rng.normal(0, 4, 3)
                found.append(_worn_joint(rng, spot, rng.uniform(4.0, 11.0), STRUCTURES[f"{bone}_{word}"].id))
    for _ in range(int(rng.poisson(1.2))):
        row = int(rng.choice(len(bones), p=_site_odds(bones)))
        place, owner = _point_inside(rng, bones, row), int(bones.owners[row])
        found.append(_mimic(rng, place, rng.uniform(1.2, 2.6), LesionType.SCLEROTIC, owner, shift_hu=800.0))
    return found


def _endplate_sclerosis(rng: np.random.Generator, v: Vertebra, owner: int, end: float) -> Deposit:
    """A flat row of dense lobes along one end plate."""
    n = int(rng.integers(3, 8))
    across = rng.uniform(-0.32, 0.32, (n, 2)) * [v.width_mm, v.depth_mm]
    radii = rng.uniform(1.5, 3.5, n)
    lobes = np.array(
        [[*v.at(x, y, end * (v.height_mm / 2 - 0.6 * r)), r] for (x, y), r in zip(across, radii, strict=True)]
    )
    return Deposit(
        lobes, (LesionType.SCLEROTIC,) * n, owner, False, 0.0, float(rng.uniform(100, 450)), 1.5, 0.5,
        _random_phase(rng), 0.0, False,
    )  # fmt: skip


def _worn_joint(rng: np.random.Generator, place: NDArray[np.float64], radius_mm: float, owner: int) -> Deposit:
    """Dense bone under a joint surface: facet arthrosis, acetabular roof, sacroiliac joint, calcar."""
    n = int(rng.integers(1, 4))
    lobes = np.array(
        [[*(place + rng.normal(0, radius_mm * 0.5, 3)), radius_mm * rng.uniform(0.6, 1.0)] for _ in range(n)]
    )
    return Deposit(
        lobes, (LesionType.SCLEROTIC,) * n, owner, False, 0.0, float(rng.uniform(100, 650)),
        float(rng.uniform(1.0, 3.0)), 0.2 * radius_mm, _random_phase(rng), 0.0, False,
    )  # fmt: skip


def _mimic(
    rng: np.random.Generator,
    place: NDArray[np.float64],
    radius_mm: float,
    kind: LesionType,
    owner: int,
    *,
    rim_hu: float = 0.0,
    shift_hu: float = 0.0,
) -> Deposit:
    """One round deposit that is not a metastasis."""
    lobes = np.array([[*place, radius_mm]])
    return Deposit(
        lobes, (kind,), owner, False, float(rng.uniform(20, 90)), shift_hu, 0.8, 0.3 * radius_mm,
        _random_phase(rng), rim_hu, False,
    )  # fmt: skip


def _random_phase(rng: np.random.Generator) -> NDArray[np.float64]:
    """Three random wave directions (rows 0–2) and their phases (row 3)."""
    waves = rng.normal(size=(3, 3))
    waves *= rng.uniform(2, 5, (3, 1)) / np.linalg.norm(waves, axis=1, keepdims=True)
    return np.vstack([waves, rng.uniform(0, 2 * np.pi, 3)])


def _site_odds(bones: Shapes) -> NDArray[np.float64]:
    """Chance of each primitive: preference of its region times the size of its box."""
    preference = {s.id: _SITE_ODDS.get(s.group, 0.0) for s in STRUCTURES.values()}
    volume = np.prod(np.maximum(bones.boxes[:, 1] - bones.boxes[:, 0], 4.0), axis=1)
    odds = np.minimum(volume, 40.0**3) ** 0.7 * np.array([preference[int(o)] for o in bones.owners])
    odds *= bones.is_solid
    return np.asarray(odds / odds.sum())


def _point_inside(rng: np.random.Generator, bones: Shapes, row: int) -> NDArray[np.float64]:
    """Draw a point inside one primitive by rejection; after 200 misses, the middle of its box."""
    low, high = bones.boxes[row]
    for _ in range(200):
        point = rng.uniform(low, high)
        if distance_to_one(bones, row, point) < -1.0:
            return np.asarray(point)
    return np.asarray((low + high) / 2)
