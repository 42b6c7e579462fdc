"""What was put into or onto a patient, away from the spine: leads, ports, catheters, tubes, wires, electrodes.

All of it is so thin that its partial volume is in its density: apparent HU, no streaks (those are for `ct.metal`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteomet.phantom.soft_tissue.canvas import SIDES, Canvas, Patient
from osteomet.phantom.soft_tissue.outline import Outline
from osteomet.phantom.soft_tissue.room import Room

_ODDS = {"port": 0.12, "pacemaker": 0.03, "sternal_wires": 0.05, "electrodes": 0.12, "gastric_tube": 0.03}
"""Share of patients who have each: our choice, for cancer clinics."""


def add_devices(canvas: Canvas, room: Room, outline: Outline, patient: Patient, rng: np.random.Generator) -> None:
    """Draw what chance gives a patient; most have nothing."""
    has = {name: rng.random() < odds for name, odds in _ODDS.items()}
    vein = [room.at(6.8, 54, 28), room.at(7.6, 42, 42), room.at(8.3, 16, 58), room.at(8.9, -22, 46)]
    atrium = [room.at(10.6, -26, 50), room.at(12.6, -32, 57)]
    if has["port"]:
        _add_port(canvas, [room.at(6.8, -52, 28), room.at(7.4, -40, 38), room.at(8.9, -22, 46), *atrium], outline, rng)
    if has["pacemaker"]:
        _add_pacemaker(canvas, [*vein, *atrium, room.at(14.0, -14, 78), room.at(14.6, 30, 100)], outline, rng)
    if has["sternal_wires"]:
        _add_sternal_wires(canvas, room, outline, patient, rng)
    if has["electrodes"]:
        _add_electrodes(canvas, room, outline, rng)
    if has["gastric_tube"]:
        path = room.path((4.0, 0, 12), (7.0, 2, 9), (11.0, 4, 9), (16.0, 12, 20), (17.0, 40, 50))
        canvas.tube(path, 2.4, "cartilage", float(rng.uniform(120, 350)))
        canvas.tube(path, 1.1, "gas", -700.0)


def _skin_at(outline: Outline, left_mm: float, z_mm: float, deep_mm: float) -> NDArray[np.float64]:
    """Point below the skin of the front, on the curve that the outline has there."""
    front, back, half = (
        float(np.interp(z_mm, outline.z_mm, a)) for a in (outline.front_mm, outline.back_mm, outline.half_width_mm)
    )
    across = min(abs(left_mm) / half, 0.95)
    bow = (1 - across**2.4) ** (1 / 2.4)
    y = 0.5 * (front + back) - (0.5 * (back - front) - deep_mm) * bow
    return np.array([left_mm, y, z_mm])


def _add_port(canvas: Canvas, way: list[NDArray[np.float64]], outline: Outline, rng: np.random.Generator) -> None:
    """A chamber below the right collar bone and a catheter to the atrium."""
    chamber = _skin_at(outline, -80.0, float(way[1][2]) - 45, 11.0)
    canvas.tube([chamber, chamber + [0, -1, 25], *way], 1.3, "metal", float(rng.uniform(300, 900)))
    canvas.ellipsoid(chamber, (13, 6, 13), "cartilage", float(rng.uniform(150, 400)))
    canvas.ellipsoid(chamber, (7, 3.5, 7), "metal", float(rng.uniform(800, 2800)))


def _add_pacemaker(canvas: Canvas, way: list[NDArray[np.float64]], outline: Outline, rng: np.random.Generator) -> None:
    """A generator below the left collar bone and one or two leads."""
    box = _skin_at(outline, 88.0, float(way[1][2]) - 40, 13.0)
    canvas.ellipsoid(box, (24, 5, 21), "metal", 2900.0)
    for end in range(len(way), len(way) - 1 - int(rng.integers(1, 3)), -1):
        canvas.tube([box + [-10, 0, 20], *way[:end]], 0.9, "metal", float(rng.uniform(1500, 2800)))


def _add_sternal_wires(
    canvas: Canvas, room: Room, outline: Outline, patient: Patient, rng: np.random.Generator
) -> None:
    """Loops of wire around the breastbone after it was split."""
    hu, turn = float(rng.uniform(1800, 3000)), np.linspace(0, 2 * np.pi, 13)
    fat = float(np.median(outline.fat_mm))
    for height in np.linspace(room.levels.height_mm(13.4), room.levels.height_mm(9.6), int(rng.integers(5, 8))):
        middle = _skin_at(outline, 0.0, float(height), 0.7 * fat + 12)
        size = np.array([18.0, 8.5]) * patient.scale
        loop = middle + np.column_stack([size[0] * np.cos(turn), size[1] * np.sin(turn), 2 * np.sin(turn + 1)])
        canvas.tube(loop, 0.5, "metal", hu)


def _add_electrodes(canvas: Canvas, room: Room, outline: Outline, rng: np.random.Generator) -> None:
    """Electrodes on the skin of the chest with their cables."""
    for side in (*SIDES, 1.0):
        place = float(rng.uniform(8.5, 15))
        spot = _skin_at(outline, side * float(rng.uniform(50, 110)), room.levels.height_mm(place), -2.5)
        canvas.ellipsoid(spot, (6, 2, 6), "metal", float(rng.uniform(300, 2500)))
        cable = [spot, spot + [side * 10, -6, 40], spot + [side * rng.uniform(-20, 20), -10, 130]]
        canvas.tube(cable, 0.9, "metal", float(rng.uniform(800, 2600)))
