"""Wear as a mimic of metastases: end plates, discs, facet joints, rims, hips and sacroiliac joints.

How common wear is follows the wear of the column (0 to 1), which grows with age as reviews of asymptomatic adults find.

References
----------
Brinjikji W. et al. Systematic literature review of imaging features of spinal degeneration in asymptomatic populations.
AJNR 2015;36:811-816. https://doi.org/10.3174/ajnr.A4173
Jensen T.S. et al. Vertebral endplate signal changes (Modic change): a systematic literature review of prevalence. Eur
Spine J 2008;17:1407-1422. https://doi.org/10.1007/s00586-008-0770-2
Kalichman L. et al. Facet joint osteoarthritis and low back pain in the community-based population. Spine
2008;33:2560-2565. https://doi.org/10.1097/BRS.0b013e318184ef95
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, LesionType
from osteomet.phantom.geometry.kernels import FUSED
from osteomet.phantom.geometry.shapes import Shapes, ShapeTable, Warp, cut, warped_points
from osteomet.phantom.lesions.deposits import Deposit, flattened, random_phase
from osteomet.phantom.skeleton.anatomy import Column, Vertebra
from osteomet.phantom.skeleton.parts import PARTS

_SIDES = ((1.0, "left"), (-1.0, "right"))
_BRIDGING_ODDS = 0.15
# How often rims grow spurs, relative to the lower lumbar discs.
_SPUR_ODDS = {"C": 0.7, "T": 0.6, "L": 1.0}
# Left side, mm from the midpoint between the hip joints, as the landmarks of `pelvis`.
_ACETABULAR_ROOF_MM = np.array([84.0, 2.0, 33.0])
_CALCAR_MM = np.array([118.0, 6.0, -38.0])
_STILL = Warp(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1))


def add_osteophytes(table: ShapeTable, column: Column, rng: np.random.Generator) -> list[Deposit]:
    """Grow spurs from worn rims towards each other into the table of bones, some bridging the disc.

    Returns what marks them as mimics: dense deposits over the new bone beyond the rim.
    """
    found: list[Deposit] = []
    for lower, upper in pairwise(v for v in column.vertebrae if v.name not in ("C1", "C2")):
        if rng.random() > 0.75 * column.wear * _SPUR_ODDS[lower.name[0]]:
            continue
        first = float(rng.normal(-np.pi / 2, 0.9))
        ridge = np.asarray(first + 0.22 * np.arange(int(rng.integers(3, 8))), dtype=np.float64)
        length = float(rng.gamma(3.0, 1.1) + 1.5)
        bridges = rng.random() < _BRIDGING_ODDS and length > 4
        for v, end, disc in ((lower, 1.0, upper.disc_below_mm), (upper, -1.0, upper.disc_below_mm)):
            if bridges or rng.random() < 0.7:
                found.append(_spur(table, v, end, ridge, length, disc / 2 + 1.5 if bridges else disc * 0.2, rng))
    return found


def _spur(
    table: ShapeTable,
    v: Vertebra,
    end: float,
    ridge: NDArray[np.float64],
    length_mm: float,
    bend_mm: float,
    rng: np.random.Generator,
) -> Deposit:
    """A curved shelf of bone along part of the rim of one end plate: highest in its middle, bent to the disc."""
    owner, level = STRUCTURES[v.name].id, end * (v.height_mm / 2 - 1.4)
    height = np.sin(np.linspace(0.35, np.pi - 0.35, len(ridge))) * rng.uniform(0.85, 1.15, len(ridge))
    roots, middles, tips = [], [], []
    for angle, far in zip(ridge, length_mm * height, strict=True):
        way = np.array([np.cos(angle) * v.width_mm / 2, np.sin(angle) * v.depth_mm / 2])
        out = way / np.linalg.norm(way)
        (x0, y0), (x1, y1), (x2, y2) = way * 0.9, way + 0.55 * far * out, way + 0.95 * far * out
        roots.append(v.at(x0, y0, level))
        middles.append(v.at(x1, y1, level + 0.2 * end * bend_mm))
        tips.append(v.at(x2, y2, level + end * (0.8 + bend_mm)))
    with table.joining(mode=FUSED, blend_mm=1.5):
        for n in range(len(ridge) - 1):
            near, far_edge = [roots[n], roots[n + 1]], [middles[n + 1], middles[n]]
            table.quad([*near, *far_edge], 1.9, owner=owner, part=PARTS["body"])
            table.quad([*far_edge[::-1], tips[n + 1], tips[n]], 1.4, owner=owner, part=PARTS["body"])
    lobes = [[*p, 1.6 + 0.3 * length_mm * h] for p, h in zip(middles, height, strict=True)] + [[*p, 2.2] for p in tips]
    n = len(lobes)
    return Deposit(
        np.array(lobes), (LesionType.SCLEROTIC,) * n, owner, "osteophyte", 0.0, float(rng.uniform(30, 300)), 1.0, 0.0,
        random_phase(rng), 0.0, False, part=PARTS["body"],
    )  # fmt: skip


def worn_discs(rng: np.random.Generator, column: Column) -> list[Deposit]:
    """Changes of end plates: a thin dense lining, Modic changes on both sides of a disc, Schmorl nodes."""
    found: list[Deposit] = []
    wear = column.wear
    for lower, upper in pairwise(column.vertebrae[:-2]):
        for v, end in ((lower, 1.0), (upper, -1.0)):
            if rng.random() < 0.35 * wear:
                found.append(_lining(rng, v, end))
            if rng.random() < 0.03 + 0.10 * wear:
                found.append(_schmorl_node(rng, v, end))
        if rng.random() < (0.22 if lower.name in ("L3", "L4", "L5") else 0.05) * 1.5 * wear:
            kind = str(rng.choice(["modic_1", "modic_2", "modic_3"], p=[0.3, 0.55, 0.15]))
            place = rng.uniform([-0.3, -0.4], [0.3, 0.1])
            found += [_modic(rng, v, end, kind, place) for v, end in ((lower, 1.0), (upper, -1.0))]
    return found


def _lining(rng: np.random.Generator, v: Vertebra, end: float) -> Deposit:
    """A flat row of dense lobes along one end plate."""
    n = int(rng.integers(3, 8))
    across = rng.uniform(-0.32, 0.32, (n, 2)) * [v.width_mm, v.depth_mm]
    radii = rng.uniform(1.5, 3.5, n)
    places = [v.at(x, y, end * (v.height_mm / 2 - 0.6 * r)) for (x, y), r in zip(across, radii, strict=True)]
    return _dense(rng, "endplate_sclerosis", np.column_stack([places, radii]), v, (100, 450), 1.5)


def _modic(rng: np.random.Generator, v: Vertebra, end: float, kind: str, place: NDArray[np.float64]) -> Deposit:
    """A dome on an end plate: oedema (type 1) and fat (type 2) that CT hardly shows, sclerosis (type 3)."""
    middle = v.at(place[0] * v.width_mm, place[1] * v.depth_mm, end * v.height_mm / 2)
    radius = rng.uniform(0.25, 0.42) * v.depth_mm
    lobes = [[*middle, radius]]
    for _ in range(int(rng.integers(1, 4))):
        shift = v.axes[:, :2] @ rng.uniform(-0.9, 0.9, 2) * radius
        lobes.append([*(middle + shift), radius * rng.uniform(0.4, 0.8)])
    dome = _dense(rng, kind, np.array(lobes), v, (120, 400), float(rng.uniform(1.0, 2.5)))
    form = flattened(v.axes, (1.0, 1.0, float(rng.uniform(1.0, 2.0))))
    types = (LesionType.SCLEROTIC if kind == "modic_3" else LesionType.MARROW,) * len(lobes)
    return replace(dome, types=types, form=form, ripple_mm=0.12 * radius, mottle=0.4)


def _schmorl_node(rng: np.random.Generator, v: Vertebra, end: float) -> Deposit:
    """Disc that broke through an end plate into the body: a defect with a dense rim."""
    across, along = rng.uniform([-0.3, -0.2], [0.3, 0.25]) * [v.width_mm, v.depth_mm]
    radius = float(rng.uniform(2.5, 5.5))
    place = v.at(across, along, end * (v.height_mm / 2 - 0.45 * radius))
    return Deposit(
        np.array([[*place, radius]]), (LesionType.LYTIC,), STRUCTURES[v.name].id, "schmorl_node",
        float(rng.uniform(60, 110)), 0.0, 0.6, 0.12 * radius, random_phase(rng), float(rng.uniform(150, 500)), True,
        outgrow_mm=(0.0,), form=flattened(v.axes, (1.0, 1.0, float(rng.uniform(1.0, 1.8)))),
        soft_hu=float(rng.uniform(60, 110)), part=PARTS["body"],
    )  # fmt: skip


def worn_facets(rng: np.random.Generator, column: Column) -> list[Deposit]:
    """Dense and cystic bone on both sides of facet joints; most adults past middle age have some on CT."""
    found: list[Deposit] = []
    for lower, upper in pairwise(column.vertebrae):
        likely = (0.7 if lower.name in ("L3", "L4", "L5") else 0.35) * (0.15 + 0.85 * column.wear)
        for joint in lower.joints_above:
            if rng.random() < likely:
                for v, side in ((lower, -1.0), (upper, 1.0)):
                    place = joint.centre_mm + side * joint.normal * rng.uniform(1.5, 3.5)
                    found.append(_worn_joint(rng, "facet_arthrosis", place, rng.uniform(2.5, 5.0), v.name))
                if rng.random() < 0.12:
                    found.append(_cyst(rng, joint.centre_mm - joint.normal * 2.5, rng.uniform(1.2, 2.2), lower.name))
    return found


def worn_hips(rng: np.random.Generator, column: Column) -> list[Deposit]:
    """Dense acetabular roofs and calcars, some with cysts."""
    found: list[Deposit] = []
    for side, word in _SIDES:
        for bone, mark in (("hip", _ACETABULAR_ROOF_MM), ("femur", _CALCAR_MM)):
            if rng.random() < 0.2 + 0.5 * column.wear:
                place = mark * [side, 1.0, 1.0] * column.scale + rng.normal(0, 4, 3)
                found.append(_worn_joint(rng, "joint_sclerosis", place, rng.uniform(4.0, 11.0), f"{bone}_{word}"))
            if bone == "hip" and rng.random() < 0.3 * column.wear:
                place = mark * [side, 1.0, 1.0] * column.scale + rng.normal(0, 3, 3)
                found.append(_cyst(rng, place, rng.uniform(2.0, 5.0), f"hip_{word}"))
    return found


def sacroiliac_changes(rng: np.random.Generator, column: Column, bones: Shapes) -> list[Deposit]:
    """Sclerosis of worn sacroiliac joints, and oedema, sclerosis and erosions of inflamed ones, one side or both."""
    found: list[Deposit] = []
    inflamed = rng.random() < 0.03
    for side, word in _SIDES:
        is_worn, is_inflamed = rng.random() < 0.5 * column.wear, inflamed and rng.random() < 0.7
        if not (is_worn or is_inflamed):
            continue
        for bone, places in zip((f"hip_{word}", "sacrum"), _sacroiliac_joint(bones, side, word), strict=True):
            if len(places):
                spots = places[rng.integers(len(places), size=4)]
                if is_inflamed:
                    found += _inflammation(rng, spots, bone)
                else:
                    found.append(_worn_joint(rng, "joint_sclerosis", spots[0], rng.uniform(4.0, 9.0), bone))
    return found


def _sacroiliac_joint(bones: Shapes, side: float, word: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points of hip bone and sacrum that lie within 7 mm of the other one, LPS mm, unwarped frame, shape (n, 3)."""
    grid = Grid.from_spacing((20, 20, 24), (4.0, 4.0, 4.0), origin_mm=(20.0 if side > 0 else -96.0, 15.0, 30.0))
    points = warped_points(grid, _STILL)
    seen = cut(bones, points, grid, _STILL, margin_mm=1.0)
    hip, sacrum = (
        points[(seen.owner == STRUCTURES[name].id) & (seen.distance_mm < 0)] for name in (f"hip_{word}", "sacrum")
    )
    if not (len(hip) and len(sacrum)):
        return np.empty((0, 3)), np.empty((0, 3))
    return hip[KDTree(sacrum).query(hip)[0] < 7], sacrum[KDTree(hip).query(sacrum)[0] < 7]


def _inflammation(rng: np.random.Generator, spots: NDArray[np.float64], bone: str) -> list[Deposit]:
    """Oedema for MR, a band of sclerosis and small erosions of the joint surface for CT."""
    owner = STRUCTURES[bone].id
    oedema = _worn_joint(rng, "sacroiliitis", spots[0], rng.uniform(6.0, 12.0), bone)
    dense = _worn_joint(rng, "sacroiliitis", spots[1], rng.uniform(4.0, 8.0), bone)
    erosions = np.column_stack([spots[1:], rng.uniform(1.0, 2.2, len(spots) - 1)])
    eroded = Deposit(
        erosions, (LesionType.LYTIC,) * len(erosions), owner, "sacroiliitis", 50.0, 0.0, 0.5, 0.3, random_phase(rng),
        0.0, True, outgrow_mm=(0.0,) * len(erosions),
    )  # fmt: skip
    return [replace(oedema, types=(LesionType.MARROW,) * len(oedema.types)), dense, eroded]


def _worn_joint(
    rng: np.random.Generator, cause: str, place: NDArray[np.float64], radius_mm: float, bone: str
) -> Deposit:
    """Dense bone under a joint surface."""
    n = int(rng.integers(1, 4))
    lobes = np.array(
        [[*(place + rng.normal(0, radius_mm * 0.5, 3)), radius_mm * rng.uniform(0.6, 1.0)] for _ in range(n)]
    )
    return Deposit(
        lobes, (LesionType.SCLEROTIC,) * n, STRUCTURES[bone].id, cause, 0.0, float(rng.uniform(100, 650)),
        float(rng.uniform(1.0, 3.0)), 0.15 * radius_mm, random_phase(rng), 0.0, False,
        mottle=float(rng.uniform(0, 0.5)),
    )  # fmt: skip


def _cyst(rng: np.random.Generator, place: NDArray[np.float64], radius_mm: float, bone: str) -> Deposit:
    """A subchondral cyst: fluid or debris with a thin dense wall."""
    return Deposit(
        np.array([[*place, radius_mm]]), (LesionType.LYTIC,), STRUCTURES[bone].id, "subchondral_cyst",
        float(rng.uniform(5, 60)), 0.0, 0.5, 0.15 * radius_mm, random_phase(rng), float(rng.uniform(200, 500)), False,
    )  # fmt: skip


def _dense(
    rng: np.random.Generator,
    cause: str,
    lobes: NDArray[np.float64],
    v: Vertebra,
    shift_hu: tuple[float, float],
    edge_mm: float,
) -> Deposit:
    """Sclerosis of a vertebral body."""
    return Deposit(
        lobes, (LesionType.SCLEROTIC,) * len(lobes), STRUCTURES[v.name].id, cause, 0.0, float(rng.uniform(*shift_hu)),
        edge_mm, 0.5, random_phase(rng), 0.0, False, part=PARTS["body"],
    )  # fmt: skip
