"""What surrounds the bones: from the skin to the cord, as named shapes that CT and MR render alike.

Everything hangs on the column (`canvas.Levels`), so any crop on any grid sees the same body. The parts are drawn from
the outside to the inside, each in a module of its own: `outline`, `chest`, `heart`, `thoracic_vessels`, `abdomen`,
`aorta`, `hips`, `pelvis`, `neck`, `muscles`, `canal` and, for what passes for bone, `lookalikes` and `devices`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.phantom.geometry.shapes import Shapes
from osteomet.phantom.skeleton.anatomy import Column
from osteomet.phantom.soft_tissue.abdomen import add_abdomen, add_cavity
from osteomet.phantom.soft_tissue.canal import add_canal
from osteomet.phantom.soft_tissue.canvas import Canvas, Patient, chest_of, levels_of
from osteomet.phantom.soft_tissue.chest import add_chest
from osteomet.phantom.soft_tissue.devices import add_devices
from osteomet.phantom.soft_tissue.hips import add_hip_bed, add_hip_muscles
from osteomet.phantom.soft_tissue.lookalikes import add_lookalikes
from osteomet.phantom.soft_tissue.muscles import add_back_muscles
from osteomet.phantom.soft_tissue.neck import add_neck
from osteomet.phantom.soft_tissue.outline import add_outline, add_table, outline_of, widened
from osteomet.phantom.soft_tissue.pelvis import add_pelvic_organs
from osteomet.phantom.soft_tissue.phases import PHASE_ODDS, PHASES
from osteomet.phantom.soft_tissue.room import room_of


@dataclass(frozen=True, slots=True, eq=False)
class SoftTissue:
    """Everything but bone: shapes in painting order, later ones over earlier ones, over air.

    ``values_hu`` and ``tissues`` have an entry a shape; names are those of the table of tissues that MR images, in
    lower case. Where that table has no row of its own, the name is that of the tissue it resembles: spleen and other
    glands are ``lymph_node``, the outer zone of the prostate ``nucleus_hydrated`` and the inner one ``bowel_wall``, as
    the heart is, the table ``gas``. ``streaks`` (0–1) is how far fat has replaced muscle. ``seed`` gives
    every tissue of this body its texture, bone included. ``sac_mm`` are sections of the dural sac by ascending height,
    shape (n, 6): z, centre x and y, half width, half depth (mm), and the place along the column (see `Levels`).
    """

    shapes: Shapes
    values_hu: NDArray[np.float64]
    tissues: tuple[str, ...]
    phase: str
    fat_hu: float
    streaks: float
    marrow_shift_hu: float
    seed: int
    sac_mm: NDArray[np.float64]


def sample_soft_tissue(
    rng: np.random.Generator,
    column: Column,
    bones: Shapes,
    *,
    phase: str | None = None,
    holds_mm: NDArray[np.float64] | None = None,
) -> SoftTissue:
    """Draw habitus, organs and contrast phase around a skeleton.

    ``phase`` fixes what would be drawn; the skin is widened to hold the points ``holds_mm``, shape (n, 3).
    """
    drawn = str(rng.choice(list(PHASE_ODDS), p=list(PHASE_ODDS.values())))
    name = phase or drawn
    patient = _sample_patient(rng, column, name)
    levels, chest = levels_of(column), chest_of(bones)
    outline = outline_of(levels, chest, patient, rng)
    if holds_mm is not None:
        outline = widened(outline, holds_mm)
    canvas = Canvas()
    add_table(canvas, outline, patient, rng)
    add_outline(canvas, outline, levels, patient, rng)
    add_cavity(canvas, levels, outline, patient)
    add_hip_bed(canvas, patient)
    room = room_of(levels, chest, patient.scale)
    add_chest(canvas, levels, chest, room, patient, rng)
    add_abdomen(canvas, levels, outline, room, patient, rng)
    add_hip_muscles(canvas, patient, rng)
    add_pelvic_organs(canvas, levels, column.sex, patient, rng)
    add_neck(canvas, levels, patient, rng)
    add_back_muscles(canvas, levels, patient, rng)
    add_lookalikes(canvas, levels, chest, outline, bones, patient, rng)
    add_devices(canvas, room, chest, outline, patient, rng)
    sac_mm = add_canal(canvas, column, levels, patient, rng)
    return SoftTissue(
        shapes=canvas.table.freeze(),
        values_hu=np.array(canvas.values_hu),
        tissues=tuple(canvas.tissues),
        phase=name,
        fat_hu=patient.fat_hu,
        streaks=patient.streaks,
        marrow_shift_hu=PHASES[name].marrow_shift_hu,
        seed=int(rng.integers(2**31)),
        sac_mm=sac_mm,
    )


def _sample_patient(rng: np.random.Generator, column: Column, name: str) -> Patient:
    """Draw habitus, muscle and enhancement."""
    phase, wear = PHASES[name], column.wear
    given = phase.artery_hu > 60
    dose = float(np.clip(rng.lognormal(0, 0.18), 0.65, 1.5)) if given else 1.0

    def blood(hu: float) -> float:
        return float((40 + (hu - 40) * dose) * rng.normal(1, 0.05))

    steatosis = float(rng.choice([0.0, rng.uniform(10, 45)], p=[0.75, 0.25]))
    return Patient(
        phase=name,
        fat_hu=float(rng.uniform(-115, -92)),
        muscle_hu=float(rng.normal(56, 5) - 10 * wear + (8 if given else 0)),
        artery_hu=blood(phase.artery_hu),
        pulmonary_hu=blood(phase.pulmonary_hu),
        upper_vein_hu=blood(phase.upper_vein_hu),
        vein_hu=blood(phase.vein_hu),
        renal_vein_hu=blood(phase.renal_vein_hu),
        portal_hu=blood(phase.portal_hu),
        myocardium_hu=blood(phase.myocardium_hu),
        kidney_hu=blood(phase.kidney_hu),
        medulla_hu=blood(phase.medulla_hu),
        liver_hu=float(phase.liver_hu * rng.normal(1, 0.08) - steatosis),
        spleen_hu=blood(phase.spleen_hu),
        urine_hu=float(phase.urine_hu * rng.uniform(0.6, 1.3)),
        fat_mm=float(np.clip(rng.lognormal(np.log(17), 0.5), 5, 50)),
        wall_mm=float(rng.uniform(13, 24)),
        streaks=float(np.clip(rng.normal(0.2 + 0.5 * wear, 0.15), 0.02, 0.95)),
        wear=wear,
        scale=column.scale,
    )
