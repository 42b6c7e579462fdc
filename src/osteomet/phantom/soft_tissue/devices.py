"""What was put into or onto a patient, away from the spine: leads, ports, catheters, tubes, wires, electrodes.

All of it is so thin that its partial volume is in its density: apparent HU, no streaks (those are for `ct.metal`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteomet.phantom.soft_tissue.canvas import SIDES, Canvas, Chest, Patient
from osteomet.phantom.soft_tissue.outline import Outline
from osteomet.phantom.soft_tissue.room import Room

_ODDS = {"port": 0.12, "pacemaker": 0.03, "sternal_wires": 0.05, "electrodes": 0.12, "gastric_tube": 0.03}
"""Share of patients who have each: our choice, for cancer clinics."""


def add_devices(
    canvas: Canvas, room: Room, chest: Chest, outline: Outline, patient: Patient, rng: np.random.Generator
) -> None:
    """Draw what chance gives a patient; most have nothing."""
    has = {name: rng.random() < odds for name, odds in _ODDS.items()}
    vein = [room.at(6.8, 54, 28), room.at(7.6, 42, 42), room.at(8.3, 16, 58), room.at(8.9, -22, 46)]
    atrium = [room.at(10.6, -26, 50), room.at(12.6, -32, 57)]
    if has["port"]:
        _add_port(canvas, [room.at(6.8, -52, 28), room.at(7.4, -40, 38), room.at(8.9, -22, 46), *atrium], outline, rng)
    if has["pacemaker"]:
        _add_pacemaker(canvas, [*vein, *atrium, room.at(14.0, -14, 78), room.at(14.6, 30, 100)], outline, rng)
    if has["sternal_wires"]:
        _add_sternal_wires(canvas, chest, patient, rng)
    if has["electrodes"]:
        _add_electrodes(canvas, room, outline, rng)
    if has["gastric_tube"]:
        path = room.path((4.0, 0, 12), (7.0, 2, 9), (11.0, 4, 9), (16.0, 12, 20), (17.0, 40, 50))
        canvas.tube(path, 2.4, "cartilage", float(rng.uniform(120, 350)))
        canvas.tube(path, 1.1, "gas", -700.0)


def _add_port(canvas: Canvas, way: list[NDArray[np.float64]], outline: Outline, rng: np.random.Generator) -> None:
    """A chamber below the right collar bone and a catheter to the atrium."""
    chamber = outline.below_front(-80.0, float(way[1][2]) - 45, 11.0)
    canvas.tube([chamber, chamber + [0, -1, 25], *way], 1.3, "metal", float(rng.uniform(300, 900)))
    canvas.ellipsoid(chamber, (13, 6, 13), "cartilage", float(rng.uniform(150, 400)))
    canvas.ellipsoid(chamber, (7, 3.5, 7), "metal", float(rng.uniform(800, 2800)))


def _add_pacemaker(canvas: Canvas, way: list[NDArray[np.float64]], outline: Outline, rng: np.random.Generator) -> None:
    """A generator below the left collar bone and one or two leads."""
    box = outline.below_front(88.0, float(way[1][2]) - 40, 13.0)
    canvas.ellipsoid(box, (24, 5, 21), "metal", 2900.0)
    for end in range(len(way), len(way) - 1 - int(rng.integers(1, 3)), -1):
        canvas.tube([box + [-10, 0, 20], *way[:end]], 0.9, "metal", float(rng.uniform(1500, 2800)))


def _add_sternal_wires(canvas: Canvas, chest: Chest, patient: Patient, rng: np.random.Generator) -> None:
    """Loops of wire around the breastbone after it was split."""
    hu, turn = float(rng.uniform(1800, 3000)), np.linspace(0, 2 * np.pi, 13)
    width, depth = np.array([17.0, 7.5]) * patient.scale
    for share in np.linspace(0.1, 0.92, int(rng.integers(5, 8))):
        loop = np.column_stack([width * np.cos(turn), depth * np.sin(turn), 2 * np.sin(turn + 1)])
        canvas.tube(chest.sternum_at(float(share)) + loop, 0.5, "metal", hu)


def _add_electrodes(canvas: Canvas, room: Room, outline: Outline, rng: np.random.Generator) -> None:
    """Electrodes on the skin of the chest with their cables."""
    for side in (*SIDES, 1.0):
        place = float(rng.uniform(8.5, 15))
        spot = outline.below_front(side * float(rng.uniform(50, 110)), room.levels.height_mm(place), -2.5)
        canvas.ellipsoid(spot, (6, 2, 6), "metal", float(rng.uniform(300, 2500)))
        cable = [spot, spot + [side * 10, -6, 40], spot + [side * rng.uniform(-20, 20), -10, 130]]
        canvas.tube(cable, 0.9, "metal", float(rng.uniform(800, 2600)))
