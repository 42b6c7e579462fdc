"""Signed distances of primitives, mm, negative inside: of one point, or of many at once.

Each primitive is one formula without a branch that depends on the point, so that compilers turn a loop over points
into vector instructions: that is what makes a phantom fast.

References
----------
Distance functions of tapered capsules and triangles after Quilez I., https://iquilezles.org/articles/distfunctions/
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

CAPSULE, PLATE, ELLIPSOID, VERTEBRAL_BODY, CUP, QUAD, LOFT = range(7)
BEYOND_MM = 1000.0
"""Added to the distance above or below a segment of a loft, where nothing is known of the distance in its slice."""
_FLAT_BACK, _ROUND_FRONT = 0.77, 0.1
"""Squareness of the cross-section of a vertebral body behind and in front: exponents of about 3.2 and 2.1."""

Numbers: TypeAlias = tuple[float, ...]


@njit(cache=True, error_model="numpy")
def distance(kind: int, p: NDArray[np.float64], row: NDArray[np.float64]) -> float:
    """Signed distance of point p to one primitive with the parameters of a row."""
    q = _numbers(row)
    if kind == CAPSULE:
        return _capsule(p[0], p[1], p[2], q)
    if kind == PLATE:
        return _plate(p[0], p[1], p[2], q)
    if kind == QUAD:
        return _quad(p[0], p[1], p[2], q)
    if kind == ELLIPSOID:
        return _ellipsoid(p[0], p[1], p[2], q)
    if kind == CUP:
        return _cup(p[0], p[1], p[2], q)
    if kind == LOFT:
        return _loft(p[0], p[1], p[2], q)
    return _body(p[0], p[1], p[2], q)


@njit(cache=True, error_model="numpy")
def distances(
    kind: int,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    z: NDArray[np.float64],
    row: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Signed distances of many points to one primitive, into ``out``."""
    q = _numbers(row)
    if kind == CAPSULE:
        for n in range(out.size):
            out[n] = _capsule(x[n], y[n], z[n], q)
    elif kind == PLATE:
        for n in range(out.size):
            out[n] = _plate(x[n], y[n], z[n], q)
    elif kind == QUAD:
        for n in range(out.size):
            out[n] = _quad(x[n], y[n], z[n], q)
    elif kind == ELLIPSOID:
        for n in range(out.size):
            out[n] = _ellipsoid(x[n], y[n], z[n], q)
    elif kind == CUP:
        for n in range(out.size):
            out[n] = _cup(x[n], y[n], z[n], q)
    elif kind == LOFT:
        for n in range(out.size):
            out[n] = _loft(x[n], y[n], z[n], q)
    else:
        for n in range(out.size):
            out[n] = _body(x[n], y[n], z[n], q)


@njit(cache=True, error_model="numpy")
def beside(kind: int, p: NDArray[np.float64], row: NDArray[np.float64]) -> float:
    """Like `distance`, but a loft goes on: above or below it, how far p lies from its end and from its sides."""
    if kind != LOFT:
        return distance(kind, p, row)
    q = _numbers(row)
    return float(max(_section(p[0], p[1], p[2], q), max(q[0] - p[2], p[2] - q[1])))


@njit(cache=True, forceinline=True)
def _numbers(q: NDArray[np.float64]) -> Numbers:
    """Parameters of a row as scalars, which a loop keeps in registers."""
    return (
        q[0], q[1], q[2], q[3], q[4], q[5], q[6], q[7], q[8], q[9], q[10], q[11], q[12], q[13], q[14], q[15], q[16],
        q[17], q[18],
    )  # fmt: skip


@njit(cache=True, error_model="numpy", forceinline=True)
def _capsule(x: float, y: float, z: float, q: Numbers) -> float:
    """Rounded cone from one point to another."""
    ab0, ab1, ab2 = q[3] - q[0], q[4] - q[1], q[5] - q[2]
    ap0, ap1, ap2 = x - q[0], y - q[1], z - q[2]
    length2 = ab0 * ab0 + ab1 * ab1 + ab2 * ab2 + 1e-9
    t = min(1.0, max(0.0, (ap0 * ab0 + ap1 * ab1 + ap2 * ab2) * (1.0 / length2)))
    d0, d1, d2 = ap0 - t * ab0, ap1 - t * ab1, ap2 - t * ab2
    return float(np.sqrt(d0 * d0 + d1 * d1 + d2 * d2) - (q[6] + t * (q[7] - q[6])))


@njit(cache=True, error_model="numpy", forceinline=True)
def _plate(x: float, y: float, z: float, q: Numbers) -> float:
    """Rounded triangle."""
    a, b, c = (q[0], q[1], q[2]), (q[3], q[4], q[5]), (q[6], q[7], q[8])
    return float(np.sqrt(_to_triangle2(x, y, z, a, b, c)) - q[9])


@njit(cache=True, error_model="numpy", forceinline=True)
def _quad(x: float, y: float, z: float, q: Numbers) -> float:
    """Rounded quadrilateral, folded along its first diagonal."""
    a, b, c, d = (q[0], q[1], q[2]), (q[3], q[4], q[5]), (q[6], q[7], q[8]), (q[9], q[10], q[11])
    return float(np.sqrt(min(_to_triangle2(x, y, z, a, b, c), _to_triangle2(x, y, z, a, c, d))) - q[12])


@njit(cache=True, error_model="numpy", forceinline=True)
def _to_triangle2(x: float, y: float, z: float, a: Numbers, b: Numbers, c: Numbers) -> float:
    """Squared distance to the triangle a, b, c."""
    e0, e1, e2 = _minus(b, a), _minus(c, b), _minus(a, c)
    normal = _cross(e0, e2)
    p = (x - a[0], y - a[1], z - a[2])
    d0, s0 = _edge(p, e0, normal)
    d1, s1 = _edge((x - b[0], y - b[1], z - b[2]), e1, normal)
    d2, s2 = _edge((x - c[0], y - c[1], z - c[2]), e2, normal)
    height = _dot(normal, p)
    above = height * height * (1.0 / (_dot(normal, normal) + 1e-12))
    return above if min(s0, s1, s2) > 0.0 else min(d0, d1, d2)


@njit(cache=True, error_model="numpy", forceinline=True)
def _edge(p: Numbers, e: Numbers, n: Numbers) -> tuple[float, float]:
    """Squared distance of p to the edge e from the origin, and on which side of it p lies in the plane of normal n."""
    t = min(1.0, max(0.0, _dot(p, e) * (1.0 / (_dot(e, e) + 1e-12))))
    d = (p[0] - t * e[0], p[1] - t * e[1], p[2] - t * e[2])
    return _dot(d, d), _dot(_cross(e, n), p)


@njit(cache=True, forceinline=True)
def _minus(a: Numbers, b: Numbers) -> Numbers:
    """Difference of two vectors."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


@njit(cache=True, forceinline=True)
def _cross(a: Numbers, b: Numbers) -> Numbers:
    """Vector product."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@njit(cache=True, forceinline=True)
def _dot(a: Numbers, b: Numbers) -> float:
    """Scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(cache=True, error_model="numpy", forceinline=True)
def _ellipsoid(x: float, y: float, z: float, q: Numbers) -> float:
    """Ellipsoid, exact for a ball, first order else; the least radius deep in its middle."""
    s0, s1, s2 = x - q[0], y - q[1], z - q[2]
    per_a, per_b, per_c = 1.0 / q[12], 1.0 / q[13], 1.0 / q[14]
    u = (q[3] * s0 + q[6] * s1 + q[9] * s2) * per_a
    v = (q[4] * s0 + q[7] * s1 + q[10] * s2) * per_b
    w = (q[5] * s0 + q[8] * s1 + q[11] * s2) * per_c
    k0 = np.sqrt(u * u + v * v + w * w)
    k1 = np.sqrt((u * per_a) ** 2 + (v * per_b) ** 2 + (w * per_c) ** 2)
    return k0 * (k0 - 1.0) / k1 if k0 > 1e-6 else -min(q[12], min(q[13], q[14]))


@njit(cache=True, error_model="numpy", forceinline=True)
def _cup(x: float, y: float, z: float, q: Numbers) -> float:
    """Spherical shell, open on one side."""
    d0, d1, d2 = x - q[0], y - q[1], z - q[2]
    shell = abs(np.sqrt(d0 * d0 + d1 * d1 + d2 * d2) - q[3]) - q[4]
    return float(max(shell, d0 * q[5] + d1 * q[6] + d2 * q[7] - 4.0))


@njit(cache=True, error_model="numpy", forceinline=True)
def _loft(x: float, y: float, z: float, q: Numbers) -> float:
    """One segment of a loft; far beyond its two heights.

    The ends are cut sharply, so that segments that share a knot join without a seam.
    """
    return _section(x, y, z, q) if (z >= q[0]) & (z < q[1]) else max(q[0] - z, z - q[1]) + BEYOND_MM


@njit(cache=True, error_model="numpy", forceinline=True)
def _section(x: float, y: float, z: float, q: Numbers) -> float:
    """First-order distance within the slice of z; above and below the segment its end sections go on.

    A section lies between an ellipse and a super-ellipse of exponent 4; neither needs a power function.
    """
    f = min(1.0, max(0.0, (z - q[0]) * (1.0 / (q[1] - q[0]))))
    x, y = x - q[2] - f * (q[6] - q[2]), y - q[3] - f * (q[7] - q[3])
    a, b = q[4] + f * (q[8] - q[4]), q[5] + f * (q[9] - q[5])
    per_a, per_b = 1.0 / a, 1.0 / b
    u, v = abs(q[10] * x + q[11] * y) * per_a, abs(q[10] * y - q[11] * x) * per_b
    u2, v2 = u * u, v * v
    r, r4 = np.sqrt(u2 + v2), np.sqrt(np.sqrt(u2 * u2 + v2 * v2))
    per_r, per_cube = 1.0 / r, 1.0 / (r4 * r4 * r4)
    slope_u = u * per_a * (per_r + q[12] * (u2 * per_cube - per_r))
    slope_v = v * per_b * (per_r + q[12] * (v2 * per_cube - per_r))
    d = (r + q[12] * (r4 - r) - 1.0) / np.sqrt(slope_u * slope_u + slope_v * slope_v)
    return d if u + v > 1e-6 else -min(a, b)


@njit(cache=True, error_model="numpy", forceinline=True)
def _body(x: float, y: float, z: float, q: Numbers) -> float:
    """Vertebral body: super-elliptic cross-section, flat behind, waisted, with concave endplates."""
    s0, s1, s2 = x - q[0], y - q[1], z - q[2]
    u = q[3] * s0 + q[6] * s1 + q[9] * s2
    v = q[4] * s0 + q[7] * s1 + q[10] * s2
    w = q[5] * s0 + q[8] * s1 + q[11] * s2
    half_width, half_depth, half_height = q[12], q[13], q[14]
    concavity, waist, wedge, skew = q[15], q[16], q[17], q[18]
    height = half_height * (1.0 + wedge * v / half_depth)
    rim = min(1.0, abs(w) / height)
    # The back wall is flatter than the front and less waisted, with a slight hollow towards the canal.
    behind = v - skew * half_depth
    is_back = behind > 0.0
    slim = 1.0 - waist * (1.0 - rim * rim)
    reach = half_depth * ((0.5 + 0.5 * slim) * (1.0 - skew) if is_back else slim * (1.0 + skew))
    hollow = 0.06 * half_depth * max(0.0, 1.0 - (u / (0.5 * half_width)) ** 2)
    ru = abs(u) / (half_width * slim)
    rv = (abs(behind) + (hollow if is_back else 0.0)) / reach
    u2, v2 = ru * ru, rv * rv
    r, r4 = np.sqrt(u2 + v2), np.sqrt(np.sqrt(u2 * u2 + v2 * v2))
    r += (_FLAT_BACK if is_back else _ROUND_FRONT) * (r4 - r)
    thick = min(half_width, half_depth)
    side = np.sqrt(u * u + behind * behind) * (1.0 - 1.0 / r) if r > 1e-6 else -thick
    side = max(side, -thick)
    end = abs(w) - (height - concavity * max(0.0, 1.0 - r * r))
    out_side, out_end = max(side, 0.0), max(end, 0.0)
    return float(np.sqrt(out_side * out_side + out_end * out_end) + min(0.0, max(side, end)))
