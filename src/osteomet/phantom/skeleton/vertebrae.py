"""Vertebrae from the axis down: body, pedicles, laminae, articular, transverse and spinous processes.

Everything is laid out in the frame of the vertebra (left, posterior, superior of the middle of its body, mm) from its
`Sizes`. Articular processes meet the joints that both neighbours share, so that facets fit whatever the curvature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteomet.core.vocabulary import STRUCTURES
from osteomet.phantom.geometry.shapes import ShapeTable
from osteomet.phantom.skeleton.anatomy import Joint, Vertebra
from osteomet.phantom.skeleton.parts import PARTS

CREASE_MM = 3.0
"""Width of the smooth creases between the parts of one vertebra."""
SIDES = ((1.0, "left"), (-1.0, "right"))
_SQUARE_SPINES_FROM = 16.5  # Below this place (T10) thoracic spinous processes are tall, as lumbar ones are.


@dataclass(frozen=True, slots=True)
class Style:
    """What distinguishes the regions: proportions of arch and processes, mm unless said otherwise.

    Heights (``pedicle_up``, ``roof_top``, ``roof_low``) are shares of the height of the body above its middle.
    ``facet`` holds the half width, half height and half thickness of an articular process, ``spinous_tip`` the height
    of the tip and its half thickness, ``skew`` how far behind its middle a body is widest, in shares of half its depth.
    """

    pedicle_up: float
    pedicle_length: float
    roof_top: float
    roof_low: float
    roof_slope: float
    lamina: float
    pillar: float
    facet: tuple[float, float, float]
    spinous_tip: tuple[float, float]
    concavity: float
    skew: float


STYLES = {
    "C": Style(0.08, 5.0, 0.15, -0.35, 3.0, 1.9, 4.6, (6.0, 6.2, 3.6), (5.0, 2.0), 0.6, 0.1),
    "T": Style(0.20, 9.0, 0.17, -0.45, 4.0, 2.6, 3.3, (4.6, 6.6, 2.9), (5.0, 2.5), 0.8, 0.3),
    "L": Style(0.20, 9.5, 0.12, -0.42, 4.0, 3.0, 4.4, (6.8, 9.2, 5.0), (13.5, 3.0), 1.7, 0.1),
}


class Sketch:
    """Pen that draws primitives of one vertebra in its own frame."""

    def __init__(self, table: ShapeTable, vertebra: Vertebra) -> None:
        self.table, self.vertebra, self.owner = table, vertebra, STRUCTURES[vertebra.name].id

    def rod(self, a: ArrayLike, b: ArrayLike, r0: float, r1: float, part: str) -> None:
        """Rounded cone between two points."""
        at = self.vertebra.at
        self.table.capsule(at(*np.asarray(a)), at(*np.asarray(b)), (r0, r1), owner=self.owner, part=PARTS[part])

    def sheet(self, corners: ArrayLike, half_thickness: float, part: str) -> None:
        """Rounded quadrilateral."""
        points = np.array([self.vertebra.at(*corner) for corner in np.asarray(corners)])
        self.table.quad(points, half_thickness, owner=self.owner, part=PARTS[part])

    def facet(self, joint: Joint, radii: ArrayLike, *, is_upper: bool, part: str) -> NDArray[np.float64]:
        """Articular process behind one side of a joint; returns its middle."""
        radii, normal = np.asarray(radii, dtype=float), self.vertebra.axes.T @ joint.normal
        middle = self.vertebra.own(joint.centre_mm) + (1 if is_upper else -1) * normal * radii[2]
        across = np.cross([0.0, 0.0, 1.0], normal) if abs(normal[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
        across -= across @ normal * normal
        across /= np.linalg.norm(across)
        axes = self.vertebra.axes @ np.stack([across, np.cross(normal, across), normal], axis=1)
        self.table.ellipsoid(self.vertebra.at(*middle), radii, owner=self.owner, part=PARTS[part], axes=axes)
        return np.asarray(middle)


def add_column_vertebra(table: ShapeTable, v: Vertebra, rng: np.random.Generator) -> None:
    """Add one vertebra between the axis and the sacrum."""
    pen, style = Sketch(table, v), STYLES[v.name[0]]
    with table.joining(blend_mm=CREASE_MM):
        _add_body(pen, style, rng)
        roof = _roof(v, style)
        for n, (side, word) in enumerate(SIDES):
            junction = _add_pedicle(pen, style, side, word)
            below = _add_joints(pen, style, n, word, junction)
            _add_lamina(pen, style, roof, junction, below)
            _add_transverse(pen, side, word, junction, rng)
        _add_spinous(pen, style, roof, rng)


def _add_body(pen: Sketch, style: Style, rng: np.random.Generator) -> None:
    """The body, with uncinate ridges in the neck and the dens on the axis."""
    v = pen.vertebra
    size = (v.width_mm, v.depth_mm, v.height_mm)
    shape = (style.concavity * rng.uniform(0.6, 1.3), rng.uniform(0.08, 0.18), v.wedge, style.skew)
    pen.table.vertebral_body(v.centre_mm, v.axes, size, shape, owner=pen.owner, part=PARTS["body"])
    half, top = v.width_mm / 2, v.height_mm / 2
    if v.name == "C2":
        pen.rod((0, 0, top - 3), (0, 0.5, top + 6), 5.6, 4.6, "body")
        pen.rod((0, 0.5, top + 6), (0, 1.0, top + 12), 4.6, 5.0, "body")
        for side, _ in SIDES:
            pen.rod((side * 2, 0, top - 7), (side * 14, 1, top - 4.5), 7.8, 5.0, "body")
    elif v.name[0] == "C":
        for side, _ in SIDES:
            ridge = side * (half - 2.0)
            pen.rod((ridge, -1.0, top - 1.0), (ridge, v.depth_mm / 2 - 3.0, top + 1.0), 1.8, 1.8, "body")


def _roof(v: Vertebra, style: Style) -> NDArray[np.float64]:
    """Upper and lower end of the midline of the arch, shape (2, 3)."""
    back = v.depth_mm / 2 + v.sizes.canal_depth + style.lamina
    return np.array(
        [(0, back, style.roof_top * v.height_mm), (0, back + style.roof_slope, style.roof_low * v.height_mm)]
    )


def _add_pedicle(pen: Sketch, style: Style, side: float, word: str) -> NDArray[np.float64]:
    """One pedicle, an upright or level sheet of its own width and height; returns where it meets the arch."""
    v, s = pen.vertebra, pen.vertebra.sizes
    back, up = v.depth_mm / 2, style.pedicle_up * v.height_mm
    out = s.canal_width / 2 + s.pedicle_width / 2
    if v.name[0] == "C":
        front, out = min(out, v.width_mm / 2 - 1.5), s.canal_width / 2 + 0.5 * s.pedicle_width + 1.5
    else:
        front = min(out, v.width_mm / 2 - 0.4 * s.pedicle_width)
    half = min(s.pedicle_width, s.pedicle_height) / 2
    rise, spread = s.pedicle_height / 2 - half, s.pedicle_width / 2 - half
    ends = [(side * front, back - 4.0, up), (side * out, back + style.pedicle_length - half / 2, up)]
    (u0, v0, w0), (u1, v1, w1) = ends
    pen.sheet(
        [
            (u0 - spread, v0, w0 - rise),
            (u0 + spread, v0, w0 + rise),
            (u1 + spread, v1, w1 + rise),
            (u1 - spread, v1, w1 - rise),
        ],
        half,
        f"pedicle_{word}",
    )
    return np.array([side * out, back + style.pedicle_length, up])


def _add_joints(pen: Sketch, style: Style, n: int, word: str, junction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Articular processes of one side and the bridge between them; returns the middle of the lower one."""
    v, part = pen.vertebra, f"facet_{word}"
    radii = np.array(style.facet) * v.height_mm / sum(_usual_heights(v)) * 2
    upper = pen.facet(v.joints_above[n], radii, is_upper=False, part=part)
    lower = pen.facet(v.joints_below[n], radii * [0.92, 1.0, 1.05], is_upper=True, part=part)
    pen.rod(junction, upper - [0, 0, 0.35 * radii[1]], style.pillar, style.pillar * 0.85, part)
    waist = 0.55 * junction + 0.45 * lower + [0, 1.5, 0]
    pen.rod(junction, waist, style.pillar * 0.95, style.pillar * 0.85, "lamina")
    pen.rod(waist, lower + [0, 0, 0.3 * radii[1]], style.pillar * 0.85, style.pillar * 0.85, part)
    return lower


def _usual_heights(v: Vertebra) -> tuple[float, float]:
    """Heights between which the facets of a region have their usual size."""
    return {"C": (13.0, 13.5), "T": (17.0, 22.0), "L": (25.5, 26.5)}[v.name[0]]


def _add_lamina(
    pen: Sketch, style: Style, roof: NDArray[np.float64], junction: NDArray[np.float64], below: NDArray[np.float64]
) -> None:
    """Sheet from the side of the arch to the midline."""
    middle = 0.5 * (junction + below)
    outer = [junction + [0, 1.5, 0.3 * style.pillar], middle + [0, 1.5, -0.2 * style.pillar]]
    pen.sheet([outer[0], roof[0], roof[1], outer[1]], style.lamina, "lamina")


def _add_transverse(
    pen: Sketch, side: float, word: str, junction: NDArray[np.float64], rng: np.random.Generator
) -> None:
    """Transverse process: two bars round the foramen in the neck, a stout rod in the chest, a flat blade below."""
    v, s, part = pen.vertebra, pen.vertebra.sizes, f"transverse_process_{word}"
    back, height, half = v.depth_mm / 2, v.height_mm, s.transverse_span / 2
    if v.name[0] == "C":
        tip = np.array([side * (half - 2.5), back - 5.0, -0.15 * height])
        pen.rod((side * (v.width_mm / 2 - 2.5), back - 10.0, 0.0), tip - [0, 2.0, 0], 2.4, 2.2, part)
        pen.rod(junction + [side * 2.0, -1.0, -1.0], tip, 2.6, 2.4, part)
    elif v.name[0] == "T":
        tip = transverse_tip(v, side)
        pen.rod(junction + [0, 0, -0.5], tip, 5.0, 5.0, part)
    else:
        tip = np.array([side * (half - 2.5), back + rng.uniform(13, 19), (0.14 + rng.uniform(-0.04, 0.10)) * height])
        root = junction + [side * 1.5, -1.0, -0.5]
        stout = 3.6 if v.place > 22.9 else 2.2
        rise = np.array([0, 0, 3.6])
        pen.sheet([root + rise, tip + 0.6 * rise, tip - 0.6 * rise, root - rise], stout, part)


def transverse_tip(v: Vertebra, side: float) -> NDArray[np.float64]:
    """Middle of the tip of a thoracic transverse process in the frame of its vertebra."""
    span = v.sizes.transverse_span
    back = v.depth_mm / 2 + 18.0 - 0.6 * max(0.0, span - 62.0)
    return np.array([side * (span / 2 - 4.0), back, 0.24 * v.height_mm])


def _add_spinous(pen: Sketch, style: Style, roof: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Spinous process: sloping in the chest, a hatchet below, forked in the neck."""
    v, s = pen.vertebra, pen.vertebra.sizes
    tall, thick = style.spinous_tip[0] * rng.uniform(0.85, 1.15), style.spinous_tip[1] * rng.uniform(0.9, 1.15)
    if v.name[0] == "T" and v.place > _SQUARE_SPINES_FROM:
        tall *= 2.0
    reach = v.depth_mm / 2 + s.spinous_reach - thick
    bend = rng.uniform(-1.5, 1.5)
    root = [roof[0] + [0, 1.0, -1.5], roof[1] + [0, 0.0, 1.5]]
    if v.name[0] == "L":
        _add_hatchet(pen, root, np.array([bend, reach, -s.spinous_drop]), (tall, thick), rng.spawn(1)[0])
        return
    tip = [np.array([bend, reach - 0.1 * tall, -s.spinous_drop + end * tall / 2]) for end in (1.0, -1.0)]
    pen.sheet([root[0], tip[0], tip[1], root[1]], thick, "spinous_process")
    if v.name in ("C2", "C3", "C4", "C5"):
        middle = 0.5 * (tip[0] + tip[1])
        for side, _ in SIDES:
            pen.rod(middle - [0, 3.5, 0], middle + [side * 3.6, 1.0, 0.0], 2.2, 1.9, "spinous_process")
    else:
        pen.rod(tip[0], tip[1], thick * 1.25, thick * 1.35, "spinous_process")


def _add_hatchet(
    pen: Sketch,
    root: list[NDArray[np.float64]],
    tip: NDArray[np.float64],
    size: tuple[float, float],
    rng: np.random.Generator,
) -> None:
    """Lumbar spinous process: a waist, then a blade whose stout edge droops behind; thin above, thick below."""
    tall, thick = size
    if pen.vertebra.place > 22.9:
        tall *= 0.7
    above = tip + [0, -rng.uniform(0.25, 0.5) * tall, rng.uniform(0.32, 0.5) * tall]
    below = tip + [0, -rng.uniform(0.0, 0.25) * tall, -rng.uniform(0.42, 0.66) * tall]
    far = tip + [0, 0, -rng.uniform(0.0, 0.3) * tall]
    place = rng.uniform(0.4, 0.6)
    waist = [
        (1 - place) * root[0] + place * above - [0, 0, rng.uniform(0.0, 1.5)],
        (1 - place) * root[1] + place * below + [0, 0, rng.uniform(1.5, 4.0)],
    ]
    pen.sheet([root[0], waist[0], waist[1], root[1]], 0.75 * thick, "spinous_process")
    pen.sheet([waist[0], above, below, waist[1]], 0.7 * thick, "spinous_process")
    pen.rod(waist[1], below, 0.8 * thick, 1.15 * thick, "spinous_process")
    pen.rod(above, far, 0.75 * thick, 1.1 * thick, "spinous_process")
    pen.rod(far, below, 1.1 * thick, 1.2 * thick, "spinous_process")
