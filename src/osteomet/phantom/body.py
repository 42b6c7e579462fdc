"""A phantom patient: skeleton, soft tissue and deposits, before any scanner looks at it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from osteomet.phantom.anatomy import Column, sample_column
from osteomet.phantom.bones import add_hips_and_femora, add_ribs, add_sacrum, add_vertebra, spongiosa_hu
from osteomet.phantom.collapse import Collapses, sample_collapses
from osteomet.phantom.degenerative import add_osteophytes
from osteomet.phantom.deposits import Deposit
from osteomet.phantom.hardware import Hardware, sample_hardware
from osteomet.phantom.labelled_anatomy import LabelledBones
from osteomet.phantom.labelled_body import SIZE_SPREAD, fit_column, fit_trunk, resized, settle, without
from osteomet.phantom.metastases import sample_metastases
from osteomet.phantom.mimics import sample_mimics
from osteomet.phantom.shapes import Shapes, ShapeTable, Warp, random_warp
from osteomet.phantom.soft_tissue import SoftTissue, sample_soft_tissue


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """One phantom patient: everything that does not depend on the scanner.

    ``labelled`` are bones of a label map, which stand beside the primitives of the bones that it lacks.
    """

    column: Column
    bones: Shapes
    soft_tissue: SoftTissue
    deposits: tuple[Deposit, ...]
    warp: Warp
    density: float
    cortex_hu: float
    cortex_factor: float
    texture_hu: float
    hardware: Hardware | None
    labelled: LabelledBones | None = None

    @property
    def top_mm(self) -> float:
        """Height of the uppermost modelled vertebra, LPS z in mm."""
        return float(self.column.vertebrae[-1].centre_mm[2])


def sample_body(rng: np.random.Generator, *, n_metastases: int, labelled: LabelledBones | None = None) -> Body:
    """Draw a patient with ``n_metastases`` metastases and a natural number of mimics.

    With ``labelled`` bones the patient is built around them, a little larger or smaller than they are; no vertebra
    collapses then, for their shape is given.
    """
    if labelled is not None:
        return _sample_around(rng, labelled, n_metastases=n_metastases)
    collapses = sample_collapses(rng, n_metastases=n_metastases)
    column = sample_column(rng, collapsed=collapses.all)
    density = float(rng.uniform(60, 300)) * collapses.density
    return _fill(rng, column, density, collapses, n_metastases=n_metastases)


def _sample_around(rng: np.random.Generator, labelled: LabelledBones, *, n_metastases: int) -> Body:
    """Draw a patient around labelled bones."""
    density = float(rng.uniform(60, 300))
    size = float(np.clip(rng.normal(1, SIZE_SPREAD), 1 - 2 * SIZE_SPREAD, 1 + 2 * SIZE_SPREAD))
    column, bones = fit_column(rng, resized(labelled, size))
    body = _fill(rng, column, density, Collapses({}, {}), n_metastases=n_metastases)
    deposits = tuple(settle(body.deposits, bones))
    soft_tissue = replace(body.soft_tissue, trunk=fit_trunk(body.soft_tissue.trunk, bones))
    return replace(body, bones=without(body.bones, bones), soft_tissue=soft_tissue, deposits=deposits, labelled=bones)


def _fill(rng: np.random.Generator, column: Column, density: float, collapses: Collapses, *, n_metastases: int) -> Body:
    """Build the skeleton of a column, and draw deposits and soft tissue."""
    table = ShapeTable()
    for vertebra in column.vertebrae:
        add_vertebra(table, vertebra, rng)
    add_ribs(table, column, rng)
    add_sacrum(table, column, rng)
    add_hips_and_femora(table, column.scale, rng, sex=column.sex)
    spurs = add_osteophytes(table, column, rng)
    bones = table.freeze()
    mimics = sample_mimics(rng, column, bones, fractured=collapses.benign)
    present = {v.name for v in column.vertebrae}
    metastases = sample_metastases(
        rng, bones, spongiosa_hu(density), n=n_metastases, in_levels=present & set(collapses.pathological)
    )
    return Body(
        column=column,
        bones=bones,
        soft_tissue=sample_soft_tissue(rng, column),
        deposits=(*spurs, *mimics, *metastases),
        warp=random_warp(rng, amplitude_mm=5.0),
        density=density,
        cortex_hu=float(rng.uniform(550, 1400)),
        cortex_factor=float(rng.uniform(0.5, 1.3)),
        texture_hu=float(rng.uniform(10, 55)),
        hardware=sample_hardware(rng, column),
    )
