"""Benign findings that mimic metastases: veins, islands, haemangiomas, red marrow, cysts, nodes, vessels, fractures.

References
----------
Slon V. et al. Vertebral hemangiomas: their demographical characteristics, location along the spine and position within
the vertebral body. Eur Spine J 2015 (CT of 196 adults: 26.0 % have one, 7.2 % several)
Genant H.K. et al. Vertebral fracture assessment using a semiquantitative technique. J Bone Miner Res 1993;8:1137-1148.
https://doi.org/10.1002/jbmr.5650080915
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from osteomet.core.vocabulary import STRUCTURES, LesionType
from osteomet.phantom.geometry.distances import VERTEBRAL_BODY
from osteomet.phantom.geometry.shapes import Shapes
from osteomet.phantom.lesions.deposits import Deposit, Realm, flattened, random_phase
from osteomet.phantom.lesions.sites import point_inside, site_odds
from osteomet.phantom.skeleton.anatomy import Column, Vertebra
from osteomet.phantom.skeleton.parts import PARTS

_BODY = PARTS["body"]
_HAEMANGIOMA_ODDS = {0: 0.74, 1: 0.188, 2: 0.05, 3: 0.022}
_TARLOV_ODDS, _NODE_ODDS, _CEMENT_ODDS, _RECENT_ODDS = 0.05, 0.3, 0.3, 0.4
_FAT_OF_HAEMANGIOMA_HU = (-60, 40)


def basivertebral_veins(rng: np.random.Generator, vertebrae: Sequence[Vertebra]) -> list[Deposit]:
    """A cleft in the middle of the back of most bodies, open to the canal, branching forwards."""
    found = []
    for v in vertebrae:
        if v.name in ("C1", "C2") or rng.random() > 0.8:
            continue
        width, low = rng.uniform(1.6, 3.2) * v.height_mm / 25, rng.uniform(-2, 2)
        lobes = [[*v.at(rng.uniform(-1, 1), v.depth_mm * 0.47, low), width * 1.3]]
        for side in (1.0, -1.0):
            reach = rng.uniform(0.05, 0.3)
            branch = v.at(side * v.width_mm * reach * 0.6, v.depth_mm * (0.45 - reach), low + rng.normal(0, 0.7))
            lobes += [[*(0.5 * (branch + lobes[0][:3])), width], [*branch, width * 0.7]]
        found.append(
            Deposit(
                np.array(lobes), (LesionType.LYTIC,) * 5, STRUCTURES[v.name].id, "basivertebral_vein",
                float(rng.uniform(20, 90)), 0.0, 0.7, 0.15 * width, random_phase(rng), 0.0, True,
                outgrow_mm=(0.0,) * 5, form=flattened(v.axes, (1.0, 1.0, float(rng.uniform(1.0, 1.6)))), part=_BODY,
            )
        )  # fmt: skip
    return found


def bone_islands(rng: np.random.Generator, bones: Shapes) -> list[Deposit]:
    """Small compact islands in spongiosa whose borders radiate into it."""
    found, odds = [], site_odds(bones)
    for _ in range(int(rng.poisson(1.2))):
        row = int(rng.choice(len(bones), p=odds))
        radius = float(np.clip(rng.lognormal(np.log(2.2), 0.45), 1.0, 7.0))
        lobe = [*point_inside(rng, bones, row), radius]
        longer = float(rng.uniform(1.0, 1.8))
        form = flattened(np.linalg.qr(rng.normal(size=(3, 3)))[0], (longer, longer, 1.0))
        found.append(
            Deposit(
                np.array([lobe]), (LesionType.SCLEROTIC,), int(bones.owners[row]), "bone_island", 0.0,
                float(rng.uniform(600, 1100)), 0.4, 0.45 * radius, random_phase(rng, coarsest=4.0, finest=9.0), 0.0,
                False, form=form, spiculated=True, part=int(bones.parts[row]),
            )
        )  # fmt: skip
    return found


def haemangiomas(rng: np.random.Generator, vertebrae: Sequence[Vertebra]) -> list[Deposit]:
    """Fat and vessels between few thick upright trabeculae, at mid-height of a body or a little above."""
    found = []
    for _ in range(int(rng.choice(list(_HAEMANGIOMA_ODDS), p=list(_HAEMANGIOMA_ODDS.values())))):
        v = vertebrae[int(rng.integers(len(vertebrae) - 2))]
        radius = float(rng.uniform(0.14, 0.48) * v.depth_mm)
        x, y = rng.uniform(-0.25, 0.25, 2) * [v.width_mm, v.depth_mm]
        place = v.at(x, y, rng.normal(0.06, 0.08) * v.height_mm)
        found.append(
            Deposit(
                np.array([[*place, radius]]), (LesionType.LYTIC,), STRUCTURES[v.name].id, "haemangioma",
                float(rng.uniform(*_FAT_OF_HAEMANGIOMA_HU)), float(rng.uniform(300, 600)), 0.8, 0.15 * radius,
                random_phase(rng), 0.0, False, form=flattened(v.axes, (1.0, 1.0, float(rng.uniform(0.8, 1.2)))),
                strut_mm=float(rng.uniform(3.2, 5.0)), part=_BODY,
            )
        )  # fmt: skip
    return found


def red_marrow_islands(rng: np.random.Generator, bones: Shapes) -> list[Deposit]:
    """Patches of blood-forming marrow in fat: for MR; CT does not show them."""
    found, odds = [], site_odds(bones)
    for _ in range(int(rng.poisson(1.5))):
        row = int(rng.choice(len(bones), p=odds))
        centre, radius = point_inside(rng, bones, row), float(rng.uniform(3, 9))
        lobes = np.array([[*centre, radius], [*(centre + rng.normal(0, 0.5, 3) * radius), 0.7 * radius]])
        found.append(
            Deposit(
                lobes, (LesionType.MARROW,) * 2, int(bones.owners[row]), "red_marrow_island", 0.0, 0.0,
                float(rng.uniform(1.5, 4.0)), 0.3 * radius, random_phase(rng), 0.0, False, part=int(bones.parts[row]),
            )
        )  # fmt: skip
    return found


def tarlov_cysts(rng: np.random.Generator, bones: Shapes) -> list[Deposit]:
    """Cysts of sacral nerve roots in the canal, which they widen at the cost of bone."""
    if rng.random() > _TARLOV_ODDS:
        return []
    owner = STRUCTURES["sacrum"].id
    bodies = np.flatnonzero((bones.owners == owner) & (bones.kinds == VERTEBRAL_BODY))
    row = bones.parameters[bodies[int(rng.integers(1, 3))]]
    axes, half = row[3:12].reshape(3, 3), row[12:15]
    found = []
    for side in rng.permutation([1.0, -1.0])[: int(rng.integers(1, 3))]:
        radius = float(rng.uniform(4, 9))
        place = row[:3] + axes @ np.array([side * rng.uniform(0.2, 0.5) * half[0], half[1] + 0.4 * radius, 0.0])
        found.append(_substance(rng, "tarlov_cyst", place, radius, owner, float(rng.uniform(0, 20)), LesionType.LYTIC))
    return found


def lymph_nodes_and_vessels(rng: np.random.Generator, column: Column) -> list[Deposit]:
    """Nodes beside the great vessels and along the pelvic brim, segmental vessels along the waist of bodies."""
    found = []
    lumbar = [v for v in column.vertebrae if v.name[0] in "LT"][:8]
    node_hu, vessel_hu = float(rng.uniform(40, 100)), float(rng.uniform(40, 220))
    for _ in range(int(rng.integers(1, 5)) if rng.random() < _NODE_ODDS else 0):
        v, side, radius = lumbar[int(rng.integers(len(lumbar)))], float(rng.choice([1.0, -1.0])), rng.uniform(3, 11)
        beside = v.at(side * (0.55 * v.width_mm + 0.3 * radius), -0.45 * v.depth_mm - radius, rng.uniform(-12, 12))
        iliac = np.array([side * rng.uniform(55, 68), rng.uniform(-20, 10), rng.uniform(20, 60)]) * column.scale
        found.append(_soft(rng, "lymph_node", beside if rng.random() < 0.7 else iliac, float(radius), v, node_hu, 1.4))
    for v in lumbar:
        for side in (1.0, -1.0):
            if rng.random() < 0.15:
                radius = float(rng.uniform(1.2, 2.4))
                place = v.at(side * (0.47 * v.width_mm + radius), rng.uniform(-0.3, 0.2) * v.depth_mm, 0.0)
                found.append(_soft(rng, "vessel", place, radius, v, vessel_hu, 5.0))
    return found


def fractures(rng: np.random.Generator, column: Column, collapsed: Mapping[str, float]) -> list[Deposit]:
    """Impacted trabeculae under the upper end plate of osteoporotic collapses; oedema or cement in some."""
    found = []
    for v in column.vertebrae:
        if v.name not in collapsed:
            continue
        if rng.random() < 0.6:
            found.append(_impacted_band(rng, v))
        if rng.random() < _RECENT_ODDS:
            found.append(_oedema(rng, v))
        if rng.random() < _CEMENT_ODDS:
            found.append(_cement(rng, v))
    return found


def _impacted_band(rng: np.random.Generator, v: Vertebra) -> Deposit:
    """A flat dense band across the front and middle of a body, parallel to its upper end plate."""
    n, level = 7, v.height_mm * rng.uniform(0.1, 0.3)
    x, y = rng.uniform(-0.38, 0.38, n) * v.width_mm, rng.uniform(-0.42, 0.25, n) * v.depth_mm
    lobes = np.array([[*v.at(x[m], y[m], level + rng.normal(0, 0.8)), 0.17 * v.width_mm] for m in range(n)])
    return Deposit(
        lobes, (LesionType.SCLEROTIC,) * n, STRUCTURES[v.name].id, "osteoporotic_fracture", 0.0,
        float(rng.uniform(120, 400)), 1.2, 0.6, random_phase(rng), 0.0, False,
        form=flattened(v.axes, (1.0, 1.0, float(rng.uniform(3.0, 4.5)))), mottle=0.3, part=_BODY,
    )  # fmt: skip


def _oedema(rng: np.random.Generator, v: Vertebra) -> Deposit:
    """Oedema of a recent fracture through most of the body, for MR; the back of the body is often spared."""
    radius = float(rng.uniform(0.3, 0.5) * v.depth_mm)
    lobes = [[*v.at(x * v.width_mm, -0.12 * v.depth_mm, 0.15 * v.height_mm), radius] for x in (-0.22, 0.0, 0.22)]
    return Deposit(
        np.array(lobes), (LesionType.MARROW,) * 3, STRUCTURES[v.name].id, "osteoporotic_fracture", 0.0, 0.0,
        float(rng.uniform(2.0, 4.0)), 0.2 * radius, random_phase(rng), 0.0, False, part=_BODY,
    )  # fmt: skip


def _cement(rng: np.random.Generator, v: Vertebra) -> Deposit:
    """Bone cement of a vertebroplasty, in clumps from one side or both, sometimes leaked beside the body."""
    lobes = []
    for side in (1.0, -1.0) if rng.random() < 0.5 else (float(rng.choice([1.0, -1.0])),):
        for _ in range(int(rng.integers(3, 8))):
            u, w = side * rng.uniform(0.02, 0.3) * v.width_mm, rng.uniform(-0.25, 0.25) * v.height_mm
            lobes.append([*v.at(u, rng.uniform(-0.35, 0.15) * v.depth_mm, w), rng.uniform(1.8, 4.5)])
    if rng.random() < 0.35:
        x, y = rng.normal(size=2)
        beyond = 0.52 / np.hypot(x, y)
        leak = v.at(x * beyond * v.width_mm, y * beyond * v.depth_mm, rng.uniform(-3, 3))
        lobes.append([*leak, rng.uniform(1.5, 3.0)])
    return Deposit(
        np.array(lobes), (LesionType.SCLEROTIC,) * len(lobes), STRUCTURES[v.name].id, "cement",
        float(rng.uniform(1500, 3000)), 0.0, 0.5, 1.8, random_phase(rng, coarsest=2.5, finest=8.0),
        0.0, False, realm=Realm.ANYWHERE, mottle=0.1,
        part=_BODY,
    )  # fmt: skip


def _substance(
    rng: np.random.Generator,
    cause: str,
    place: NDArray[np.float64],
    radius_mm: float,
    owner: int,
    fill_hu: float,
    kind: LesionType,
) -> Deposit:
    """A round body that takes the place of whatever is there."""
    return Deposit(
        np.array([[*place, radius_mm]]), (kind,), owner, cause, fill_hu, 0.0, 0.6, 0.1 * radius_mm, random_phase(rng),
        0.0, False, realm=Realm.ANYWHERE,
    )  # fmt: skip


def _soft(
    rng: np.random.Generator,
    cause: str,
    place: NDArray[np.float64],
    radius_mm: float,
    v: Vertebra,
    fill_hu: float,
    longer: float,
) -> Deposit:
    """An oval or a cord of soft tissue beside bone: nodes lie along the body axis, segmental vessels across it."""
    stretch = (1.0, 1.0, 1 / longer) if cause == "lymph_node" else (1.0, 1 / longer, 1.0)
    return Deposit(
        np.array([[*place, radius_mm]]), (LesionType.LYTIC,), STRUCTURES[v.name].id, cause, fill_hu, 0.0, 0.6,
        0.1 * radius_mm, random_phase(rng), 0.0, False, form=flattened(v.axes, stretch), realm=Realm.SOFT,
    )  # fmt: skip
