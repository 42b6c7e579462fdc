"""The atlas: a ring of two arches, two lateral masses and two perforated transverse processes, without a body."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from osteomet.phantom.geometry.kernels import HOLE
from osteomet.phantom.geometry.shapes import ShapeTable
from osteomet.phantom.skeleton.anatomy import Vertebra
from osteomet.phantom.skeleton.parts import PARTS
from osteomet.phantom.skeleton.vertebrae import CREASE_MM, SIDES, Sketch

# Inner surface of the anterior arch in front of the middle of the dens, mm, and of the lateral masses beside it.
_FRONT_MM = 7.6


def add_atlas(table: ShapeTable, v: Vertebra, rng: np.random.Generator) -> None:
    """Add C1 round the dens; its frame is centred on the axis of the dens, halfway up."""
    pen, s = Sketch(table, v), v.sizes
    scale = v.height_mm / 11.0
    inner = s.canal_width / 2
    rear = v.depth_mm / 2 + s.canal_depth + 3.2
    with table.joining(blend_mm=CREASE_MM):
        for side, word in SIDES:
            mass, facet = side * (inner + 6.5), f"facet_{word}"
            pen.rod((mass, -3, 1.5), (mass - side * 0.5, 6, 0.5), 6.4 * scale, 6.2 * scale, facet)
            pen.rod((mass + side, -3, 4), (mass, 8, 4), 4.5 * scale, 4.2 * scale, facet)
            pen.facet(
                v.joints_below[0 if side > 0 else 1], np.array([7.5, 8.5, 4.0]) * scale, is_upper=True, part=facet
            )
            arch = [(side * inner, -8.5, 0.5), (side * 8.0, -_FRONT_MM - 3.0, 0), (0, -_FRONT_MM - 3.6, 0)]
            for a, b in pairwise(arch):
                pen.sheet([np.add(a, (0, 0, 2.2)), np.add(b, (0, 0, 2.2)), np.add(b, (0, 0, -2.2)),
                           np.add(a, (0, 0, -2.2))], 2.7 * scale, "body")  # fmt: skip
            ring = [(mass, 8, 1.5), (side * inner * 0.92, rear - 8.5, 0.5), (side * 6.0, rear - 1.2, 0), (0, rear, 0)]
            for a, b in pairwise(ring):
                pen.rod(a, b, 3.1 * scale, 3.3 * scale, "lamina")
            tip = (side * (s.transverse_span / 2 - 4.0), 5.0, -0.5)
            pen.rod((mass + side * 3, 2.5, 0), tip, 5.6 * scale, 4.0 * scale, f"transverse_process_{word}")
        pen.rod((0, rear, 1), (0, rear + rng.uniform(2.5, 4.5), 0), 3.0 * scale, 2.4 * scale, "spinous_process")
    with table.joining(mode=HOLE):
        for side, word in SIDES:
            place = side * (inner + 14.0)
            part = PARTS[f"transverse_process_{word}"]
            table.capsule(
                v.at(place, 3.0, -9), v.at(place, 4.0, 9), (3.0 * scale, 3.0 * scale), owner=pen.owner, part=part
            )
