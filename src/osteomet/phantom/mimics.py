"""What a model takes for a metastasis: worn end plates and joints, Schmorl nodes, veins, bone islands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteomet.core.vocabulary import STRUCTURES, LesionType
from osteomet.phantom.anatomy import Vertebra
from osteomet.phantom.deposits import Deposit, random_phase
from osteomet.phantom.shapes import Shapes
from osteomet.phantom.sites import point_inside, site_odds

# Left side, mm from the midpoint between the hip joints, as the landmarks of `bones`.
_ACETABULAR_ROOF_MM = np.array([84.0, 2.0, 33.0])
_SACROILIAC_MM = np.array([58.0, 50.0, 68.0])
_CALCAR_MM = np.array([118.0, 6.0, -38.0])

MIMICS = (
    "endplate_sclerosis", "schmorl_node", "facet_arthrosis", "basivertebral_vein", "joint_sclerosis", "bone_island",
)  # fmt: skip
"""Names of the mimics; the label of each one in a mimic map is its place here, counted from 1."""


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
                found.append(
                    _mimic(rng, "schmorl_node", place, rng.uniform(2.5, 5.0), LesionType.LYTIC, owner, rim_hu=250.0)
                )
        for side in (1.0, -1.0):
            for w in (0.68, -0.72):
                if rng.random() < 0.3 + 0.6 * wear:
                    facet = v.at(side * 0.29 * v.width_mm, v.depth_mm / 2 + 13, w * v.height_mm)
                    found.append(_worn_joint(rng, "facet_arthrosis", facet, rng.uniform(3.0, 6.5), owner))
        if rng.random() < 0.8:
            vein = v.at(rng.uniform(-2, 2), v.depth_mm * 0.42, rng.uniform(-2, 2))
            found.append(_mimic(rng, "basivertebral_vein", vein, rng.uniform(1.8, 3.5), LesionType.LYTIC, owner))
    for side, word in ((1.0, "left"), (-1.0, "right")):
        for bone, place in (("hip", _ACETABULAR_ROOF_MM), ("hip", _SACROILIAC_MM), ("femur", _CALCAR_MM)):
            if rng.random() < 0.5:
                spot = place * [side, 1.0, 1.0] + rng.normal(0, 4, 3)
                found.append(
                    _worn_joint(rng, "joint_sclerosis", spot, rng.uniform(4.0, 11.0), STRUCTURES[f"{bone}_{word}"].id)
                )
    for _ in range(int(rng.poisson(1.2))):
        row = int(rng.choice(len(bones), p=site_odds(bones)))
        place, owner = point_inside(rng, bones, row), int(bones.owners[row])
        found.append(
            _mimic(rng, "bone_island", place, rng.uniform(1.2, 2.6), LesionType.SCLEROTIC, owner, shift_hu=800.0)
        )
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
        lobes, (LesionType.SCLEROTIC,) * n, owner, "endplate_sclerosis", 0.0, float(rng.uniform(100, 450)), 1.5, 0.5,
        random_phase(rng), 0.0, False,
    )  # fmt: skip


def _worn_joint(
    rng: np.random.Generator, cause: str, place: NDArray[np.float64], radius_mm: float, owner: int
) -> Deposit:
    """Dense bone under a joint surface: facet arthrosis, acetabular roof, sacroiliac joint, calcar."""
    n = int(rng.integers(1, 4))
    lobes = np.array(
        [[*(place + rng.normal(0, radius_mm * 0.5, 3)), radius_mm * rng.uniform(0.6, 1.0)] for _ in range(n)]
    )
    return Deposit(
        lobes, (LesionType.SCLEROTIC,) * n, owner, cause, 0.0, float(rng.uniform(100, 650)),
        float(rng.uniform(1.0, 3.0)), 0.2 * radius_mm, random_phase(rng), 0.0, False,
    )  # fmt: skip


def _mimic(
    rng: np.random.Generator,
    cause: str,
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
        lobes, (kind,), owner, cause, float(rng.uniform(20, 90)), shift_hu, 0.8, 0.3 * radius_mm,
        random_phase(rng), rim_hu, False,
    )  # fmt: skip
