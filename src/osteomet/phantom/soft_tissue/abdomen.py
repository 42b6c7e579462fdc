"""The belly: its wall, the fat within, liver, spleen, kidneys, great vessels, stomach and bowel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteomet.phantom.soft_tissue.aorta import add_aorta
from osteomet.phantom.soft_tissue.canvas import SIDES, Canvas, Levels, Patient
from osteomet.phantom.soft_tissue.outline import Outline
from osteomet.phantom.soft_tissue.room import Room

_N_LAYERS = 3
_ORAL_CONTRAST, _GALLSTONES, _KIDNEY_STONES = 0.15, 0.07, 0.06
"""Share of patients who drank positive contrast medium, and of those with dense stones."""


def add_abdomen(
    canvas: Canvas, levels: Levels, outline: Outline, room: Room, patient: Patient, rng: np.random.Generator
) -> None:
    """Draw the organs from the diaphragm to the brim of the pelvis; their domes rise into the chest."""
    drunk_hu = float(rng.uniform(200, 600)) if rng.random() < _ORAL_CONTRAST else None
    _add_solid_organs(canvas, levels, outline, patient, drunk_hu, rng)
    _add_kidneys(canvas, levels, patient, rng)
    _add_mesentery(canvas, levels, outline, patient, rng)
    _add_bowel(canvas, levels, outline, patient, drunk_hu, rng)
    _add_great_vessels(canvas, levels, room, patient, rng)


def add_cavity(canvas: Canvas, levels: Levels, outline: Outline, patient: Patient) -> None:
    """Layers of the wall and the fat inside; the back of the cavity reaches beside the column."""
    s = patient.scale
    z, fat = outline.z_mm, outline.fat_mm
    low, high = -58 * s, levels.height_mm(16.2)
    inside = (z > low) & (z < high)
    spine_y = np.interp(z, levels.centre_mm[::-1, 2], levels.centre_mm[::-1, 1])
    keep = outline.back_mm - spine_y - np.interp(z, [0, 60 * s, levels.height_mm(22), high], [-10, 0, 16, 20]) * s
    wall = patient.wall_mm * np.interp(z, [low, 40 * s, levels.height_mm(20), high], [0.5, 0.7, 1.0, 1.2])
    _add_lower_wall(canvas, outline, patient)
    close = np.interp(z, [low, low + 45 * s, high - 60 * s, high], [0.45, 1.0, 1.0, 0.8])
    for layer in range(_N_LAYERS):
        for tissue, hu, extra in (("subcutaneous_fat", patient.fat_hu, 0.0), ("muscle", patient.muscle_hu, 0.9)):
            depth = wall * (layer / _N_LAYERS) + extra
            points, half_width, half_depth = outline.inside(
                fat + depth, 1.1 * fat + 0.6 * depth, 0.55 * fat + 4 + depth
            )
            if layer:
                some = inside & (z > 90 * s) & (z < levels.height_mm(17.6))
                canvas.loft(points[some], half_width[some], half_depth[some], tissue, hu, squareness=0.4)
    points, half_width, half_depth = outline.inside(fat + wall, 1.1 * fat + 0.55 * wall, keep)
    half_width = np.where(z < 100 * s, np.minimum(half_width, 96 * s), half_width)
    half_width, half_depth = half_width * np.sqrt(close), half_depth * close
    canvas.loft(points[inside], half_width[inside], half_depth[inside], "subcutaneous_fat", patient.fat_hu + 4,
                squareness=0.4)  # fmt: skip
    rectus = (z > -30 * s) & (z < levels.height_mm(17.5))
    ahead = outline.front_mm + 1.1 * fat + 0.5 * patient.wall_mm
    for side in SIDES:
        path = np.column_stack([outline.middle_x_mm + side * 32 * s, ahead, z])[rectus]
        canvas.belly(path, 26 * s, 0.45 * patient.wall_mm, patient)


def _add_lower_wall(canvas: Canvas, outline: Outline, patient: Patient) -> None:
    """Muscle in front of the pelvis, from one inguinal ligament to the other; the cavity is cut out of it."""
    s = patient.scale
    z = np.linspace(-26, 130, 14) * s
    front, fat, half = (
        np.interp(z, outline.z_mm, a) for a in (outline.front_mm, outline.fat_mm, outline.half_width_mm)
    )
    front, back = front + 1.1 * fat, -22.0 * s
    half_width = np.minimum(np.interp(z / s, [-26, 30, 82, 112, 130], [24, 72, 114, 124, 140]) * s, half - fat)
    points = np.column_stack([np.interp(z, outline.z_mm, outline.middle_x_mm), (front + back) / 2, z])
    canvas.loft(points, half_width, np.maximum((back - front) / 2, 5.0), "muscle", patient.muscle_hu, squareness=0.4)


def _middle(levels: Levels, outline: Outline, place: float) -> tuple[NDArray[np.float64], float, float]:
    """Middle of the cavity in front of a place of the column, and its half width and half depth."""
    spine = levels.at(place)
    front = float(np.interp(spine[2], outline.z_mm, outline.front_mm + 1.1 * outline.fat_mm)) + 14
    back = spine[1] - 16
    half_width = float(np.interp(spine[2], outline.z_mm, outline.half_width_mm - outline.fat_mm))
    return np.array([spine[0], (front + back) / 2, spine[2]]), half_width, (back - front) / 2


def _add_solid_organs(
    canvas: Canvas, levels: Levels, outline: Outline, patient: Patient, drunk_hu: float | None, rng: np.random.Generator
) -> None:
    """Liver in two lobes with its veins, gallbladder, spleen, stomach with gas in front and fluid behind."""
    s = patient.scale
    middle, half_width, half_depth = _middle(levels, outline, 17.0)
    liver = patient.liver_hu
    inner = half_width - 20 * s
    for offset, radii in (
        ((-0.52 * inner, 8 * s, -8 * s), (0.47 * inner, half_depth + 8 * s, 84 * s)),
        ((-0.60 * inner, 20 * s, -50 * s), (0.36 * inner, half_depth * 0.75, 62 * s)),
        ((-0.02 * inner, -0.40 * half_depth, 12 * s), (0.42 * inner, half_depth * 0.5, 42 * s)),
    ):
        canvas.ellipsoid(middle + offset, np.array(radii) * rng.uniform(0.94, 1.05), "liver", liver)
    for _ in range(9):
        start = middle + np.array([-0.25 * inner, 0, 0]) + rng.normal(0, 8, 3)
        end = middle + np.array([-0.55 * inner, 0, -10]) + rng.uniform(-0.6, 0.6, 3) * [0.4 * inner, half_depth, 60 * s]
        canvas.tube([start, end], [4.0 * s, 1.2 * s], "vein", 0.7 * patient.portal_hu + 0.3 * liver)
    gallbladder = middle + np.array([-0.38 * inner, -0.5 * half_depth, -58 * s])
    bile = np.array([13, 17, 24]) * s * rng.uniform(0.7, 1.1)
    canvas.ellipsoid(gallbladder, bile, "urine", float(rng.uniform(0, 20)))
    if rng.random() < _GALLSTONES:
        for _ in range(int(rng.integers(1, 6))):
            spot, radius = gallbladder + rng.uniform(-1, 1, 3) * [5, 6, 10] + [0, 5, -4], rng.uniform(2, 7)
            canvas.ellipsoid(spot, (radius,) * 3, "cortical_bone", float(rng.uniform(120, 800)))
    canvas.ellipsoid(middle + np.array([0.72 * inner, 0.62 * half_depth, -4 * s]), (24 * s, 42 * s, 50 * s),
                     "lymph_node", patient.spleen_hu)  # fmt: skip
    stomach = middle + np.array([0.42 * inner, -0.18 * half_depth, -6 * s])
    size = np.array([42, 38, 46]) * s * rng.uniform(0.7, 1.1)
    canvas.ellipsoid(stomach, size + 4, "bowel_wall", 55.0)
    canvas.ellipsoid(stomach, size, "bowel_content", _content_hu(drunk_hu, rng))
    gas = float(rng.uniform(0.2, 0.7))
    canvas.ellipsoid(stomach - [0, (1 - gas) * size[1], 0], size * [0.8, gas, 0.8], "gas", -990.0)


def _add_kidneys(canvas: Canvas, levels: Levels, patient: Patient, rng: np.random.Generator) -> None:
    """Cortex, pyramids and the fat, urine and stones of the sinus; the left kidney stands a little higher."""
    s, has_stones = patient.scale, rng.random() < _KIDNEY_STONES
    for side in SIDES:
        place = 19.6 - 0.25 * side
        centre = levels.at(place, side * rng.uniform(62, 72) * s, rng.uniform(2, 14) * s)
        lean, turn = side * rng.uniform(-0.35, -0.1), side * rng.uniform(0.4, 0.8)
        c, d = np.cos(turn), np.sin(turn)
        axes = np.array([[c, -d, 0], [d, c, 0], [0, 0, 1]]) @ np.array(
            [[np.cos(lean), 0, -np.sin(lean)], [0, 1, 0], [np.sin(lean), 0, np.cos(lean)]]
        )
        size = np.array([28, 24, 54]) * s * rng.uniform(0.9, 1.08)
        canvas.ellipsoid(centre, size, "kidney", patient.kidney_hu, axes=axes)
        for n in range(8):
            height = (n - 3.5) / 4.4
            ring = np.sqrt(1 - height**2) * 0.52
            angle = 2.4 * n
            offset = axes @ (size * [ring * np.cos(angle), ring * np.sin(angle), height])
            canvas.ellipsoid(centre + offset, (8 * s, 8 * s, 7 * s), "kidney", patient.medulla_hu)
        hilum = axes @ np.array([-side * 0.45 * size[0], 0, 0])
        canvas.ellipsoid(centre + hilum, size * [0.62, 0.42, 0.5], "subcutaneous_fat", patient.fat_hu + 10, axes=axes)
        canvas.ellipsoid(centre + 0.9 * hilum, size * [0.28, 0.2, 0.32], "urine", patient.urine_hu, axes=axes)
        for _ in range(int(rng.integers(0, 4)) if has_stones else 0):
            spot = centre + hilum + axes @ (size * rng.uniform(-0.35, 0.35, 3))
            canvas.ellipsoid(spot, rng.uniform(1.5, 5, 3), "cortical_bone", float(rng.uniform(400, 1300)))
        canvas.tube([centre + hilum, levels.at(place, side * 30 * s, -18 * s)], 3.6 * s, "vein",
                    patient.renal_vein_hu)  # fmt: skip


def _add_mesentery(
    canvas: Canvas, levels: Levels, outline: Outline, patient: Patient, rng: np.random.Generator
) -> None:
    """Vessels that fan out in the fat between root and bowel, forking once."""
    s = patient.scale
    for _ in range(26):
        root = levels.at(rng.uniform(19.5, 22.5), rng.normal(0, 10) * s, -45 * s)
        middle, half_width, half_depth = _middle(levels, outline, float(rng.uniform(19.5, 23.5)))
        aim = middle + rng.uniform(-1, 1, 3) * [0.75 * half_width, 0.8 * half_depth, 25 * s]
        fork = root + 0.55 * (aim - root) + rng.normal(0, 6, 3)
        canvas.tube([root, fork, aim], [2.2, 1.7, 0.8], "vein", 0.85 * patient.portal_hu)
        canvas.tube([fork, aim + rng.normal(0, 22, 3)], [1.5, 0.8], "vein", 0.85 * patient.portal_hu)


def _content_hu(drunk_hu: float | None, rng: np.random.Generator) -> float:
    """Density of what a stomach or a loop of bowel holds: as a rule of what was drunk, thinned, else of chyme."""
    if drunk_hu is not None and rng.random() < 0.75:
        return drunk_hu * float(rng.uniform(0.7, 1.1))
    return float(rng.uniform(5, 45))


def _add_bowel(
    canvas: Canvas, levels: Levels, outline: Outline, patient: Patient, drunk_hu: float | None, rng: np.random.Generator
) -> None:
    """Small bowel as coiled tubes, colon along both flanks and across, with stool and gas."""
    s = patient.scale
    for _ in range(9):
        place = rng.uniform(19.5, 26)
        middle, half_width, half_depth = _middle(levels, outline, min(place, 23.5))
        middle[2] = np.interp(place, [19.5, 26], [levels.height_mm(19.5), 10 * s])
        reach = np.array([0.55 * half_width, max(half_depth - 16, 8), 20 * s])
        points = [middle + rng.uniform(-1, 1, 3) * reach]
        for _ in range(7):
            points.append(np.clip(points[-1] + rng.normal(0, 26 * s, 3), middle - reach, middle + reach))
        radius = rng.uniform(9, 13) * s
        canvas.tube(points, radius + 2.0, "bowel_wall", 45 + 0.25 * patient.portal_hu)
        canvas.tube(points, radius, "bowel_content", _content_hu(drunk_hu, rng))
        if rng.random() < 0.4:
            canvas.ellipsoid(points[3] - [0, 0.5 * radius, 0], (radius, 0.5 * radius, radius), "gas", -980.0)
    _add_colon(canvas, levels, outline, patient, rng)


def _add_colon(canvas: Canvas, levels: Levels, outline: Outline, patient: Patient, rng: np.random.Generator) -> None:
    """A chain of haustra up the right flank, across and down the left one."""
    s = patient.scale
    path = []
    for side, places in ((-1.0, (24.0, 19.5)), (1.0, (18.6, 24.0))):
        for place in np.linspace(*places, 9):
            middle, half_width, half_depth = _middle(levels, outline, min(place, 23.0))
            x = side * min(half_width - patient.wall_mm - 26 * s, 112 * s)
            path.append(np.array([x, middle[1] + 0.35 * half_depth, levels.height_mm(min(place, 23.9))]))
        if side < 0:
            middle, half_width, half_depth = _middle(levels, outline, 20.0)
            for across in np.linspace(-0.6, 0.6, 9):
                sag = 30 * s * (1 - (across / 0.6) ** 2)
                path.append(middle + np.array([across * half_width, -0.7 * half_depth, -sag]))
    for point in path:
        radius = rng.uniform(15, 23) * s
        centre = point + rng.normal(0, 3, 3)
        canvas.ellipsoid(centre, (radius + 1.8,) * 3, "bowel_wall", 48.0)
        gas = rng.random() < 0.45
        canvas.ellipsoid(centre, (radius,) * 3, "bowel_content", float(rng.uniform(0, 60)))
        if gas:
            canvas.ellipsoid(centre - [0, 0.35 * radius, 0], (0.85 * radius, 0.6 * radius, 0.9 * radius), "gas", -985.0)
        else:
            for _ in range(5):
                place = centre + rng.uniform(-0.5, 0.5, 3) * radius
                canvas.ellipsoid(place, rng.uniform(1.2, 4.0, 3), "gas", float(rng.uniform(-700, -150)))


def _add_great_vessels(canvas: Canvas, levels: Levels, room: Room, patient: Patient, rng: np.random.Generator) -> None:
    """Vena cava and aorta against the bodies of the vertebrae, iliac vessels, vessels of bowel, liver and kidneys."""
    s = patient.scale
    fork = add_aorta(canvas, levels, room, patient, rng)
    low = levels.places_between(22.7, 15.2, 0.5)
    angle = -np.interp(low, [15.2, 17, 19, 22.7], [0.6, 0.65, 0.6, 0.5]) + rng.normal(0, 0.07)
    half_width, half_depth = rng.uniform(9, 13) * s, rng.uniform(6.5, 10.5) * s
    gap = np.interp(low, [15.2, 17, 18.5, 22.7], [16, 9, 0, 0]) * s + rng.uniform(-1.8, 2.0)
    cava = levels.beside(low, angle, half_width, half_depth, gap_mm=gap)
    _add_cava(canvas, cava, low, (float(half_width), float(half_depth)), patient, rng)
    canvas.tube([cava[-1], room.at(14.1, -34, 54)], half_width, "vein", _upper_cava_hu(patient))
    groin = np.array([60.0, -52.0, -18.0]) * s
    for side in SIDES:
        joint = levels.at(24.0, side * 34 * s, -26 * s)
        brim, thigh = np.array([side * 56 * s, -18 * s, 42 * s]), np.array([side * 66 * s, -44 * s, -110 * s])
        route = [fork, joint, brim, groin * [side, 1, 1], thigh]
        canvas.tube(np.array(route[1:]) + [side * -9 * s, 10 * s, 0], 6.2 * s, "vein", patient.vein_hu)
        across = levels.beside(np.array([23.0, 23.5]), side * np.array([0.25, 0.6]), 7.0 * s, 7.0 * s)
        canvas.tube([cava[0], *across, joint + [side * -9 * s, 10 * s, 0]], 7.0 * s, "vein", patient.vein_hu)
        canvas.tube(route, np.array([6.0, 5.2, 4.8, 4.6, 4.2]) * s, "artery", patient.artery_hu)
        canvas.tube([joint, np.array([side * 38 * s, 30 * s, 45 * s])], 3.0 * s, "artery", patient.artery_hu)
        for place, x, hu, tissue, radius in ((19.2, 4, patient.artery_hu, "artery", 2.8),
                                             (19.4, -6, patient.renal_vein_hu, "vein", 4.2)):  # fmt: skip
            renal = levels.at(19.6 - 0.25 * side, side * 44 * s, -2 * s)
            canvas.tube([levels.at(place, x * s, -30 * s), levels.at(place, side * 24 * s, -22 * s), renal],
                        radius * s, tissue, hu)  # fmt: skip
    _add_visceral_vessels(canvas, levels, patient)


def _add_cava(
    canvas: Canvas,
    path: NDArray[np.float64],
    places: NDArray[np.float64],
    half_mm: tuple[float, float],
    patient: Patient,
    rng: np.random.Generator,
) -> None:
    """Inferior vena cava: blood of the legs below the kidneys, mixed with that of the kidneys above them."""
    upper = places <= 19.4
    mixed = _upper_cava_hu(patient)
    canvas.loft(path, *half_mm, "vein", patient.vein_hu)
    canvas.loft(path[upper], *half_mm, "vein", mixed)
    if abs(patient.renal_vein_hu - patient.vein_hu) > 30:
        for side in SIDES:
            jet = path[upper][: max(2, int(upper.sum()) // 2)] + [side * 0.5 * half_mm[0], 0, 0]
            hu = float(rng.uniform(mixed, patient.renal_vein_hu))
            canvas.tube(jet, 0.4 * half_mm[1], "vein", hu)


def _upper_cava_hu(patient: Patient) -> float:
    """Blood of the legs and of the kidneys, mixed."""
    return 0.45 * patient.vein_hu + 0.55 * patient.renal_vein_hu


def _add_visceral_vessels(canvas: Canvas, levels: Levels, patient: Patient) -> None:
    """Coeliac trunk, mesenteric vessels, splenic and portal vein."""
    s = patient.scale
    canvas.tube([levels.at(18.1, 4 * s, -30 * s), levels.at(18.2, 2 * s, -46 * s), levels.at(17.8, 40 * s, -40 * s)],
                3.2 * s, "artery", patient.artery_hu)  # fmt: skip
    canvas.tube([levels.at(18.9, 6 * s, -34 * s), levels.at(21.5, 5 * s, -52 * s)], 3.6 * s, "artery",
                patient.artery_hu)  # fmt: skip
    meet = levels.at(18.7, -10 * s, -46 * s)
    for other in (levels.at(21.5, -9 * s, -52 * s), levels.at(17.6, 70 * s, -8 * s), levels.at(17.4, -46 * s, -34 * s)):
        canvas.tube([meet, other], 5.4 * s, "vein", patient.portal_hu)
