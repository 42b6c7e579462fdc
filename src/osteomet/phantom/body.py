"""A phantom patient: skeleton, soft tissue and deposits, before any scanner looks at it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from osteomet.phantom.geometry.shapes import Shapes, ShapeTable, Warp, random_warp
from osteomet.phantom.labelled_body import SIZE_SPREAD, fit_column, resized, settle, without
from osteomet.phantom.lesions.degenerative import add_osteophytes
from osteomet.phantom.lesions.deposits import Deposit
from osteomet.phantom.lesions.hardware import Hardware, sample_hardware
from osteomet.phantom.lesions.metastases import sample_metastases
from osteomet.phantom.lesions.mimics import sample_mimics
from osteomet.phantom.skeleton.anatomy import Column, Numbering, Sex, sample_column
from osteomet.phantom.skeleton.bone_age import draw_lumbar_hu
from osteomet.phantom.skeleton.bones import add_hips_and_femora, add_ribs, add_sacrum, add_vertebra, spongiosa_hu
from osteomet.phantom.skeleton.collapse import Collapses, sample_collapses
from osteomet.phantom.skeleton.labelled_anatomy import LabelledBones
from osteomet.phantom.soft_tissue.assembly import SoftTissue, sample_soft_tissue

_EVEN_MARROW, _EVEN_HU = 0.15, (150.0, 250.0)
"""Share of patients whose marrow is homogeneous under a thin cortex, and its density: hardly to be told from blood."""


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """One phantom patient: everything that does not depend on the scanner.

    ``scaffold`` are primitives of every bone, in which deposits are drawn. ``labelled`` are bones of a label map; then
    ``bones`` are the primitives of those that it lacks. ``rim`` is how much denser than elsewhere spongiosa grows
    towards walls and end plates: 1 as a rule, near 0 where marrow is homogeneous.
    """

    column: Column
    scaffold: Shapes
    bones: Shapes
    soft_tissue: SoftTissue
    deposits: tuple[Deposit, ...]
    warp: Warp
    density: float
    cortex_hu: float
    cortex_factor: float
    texture_hu: float
    rim: float
    hardware: Hardware | None
    labelled: LabelledBones | None = None

    @property
    def top_mm(self) -> float:
        """Height of the uppermost modelled vertebra, LPS z in mm."""
        return float(self.column.vertebrae[-1].centre_mm[2])


def sample_body(
    rng: np.random.Generator,
    *,
    n_metastases: int,
    sex: Sex | None = None,
    age_years: float | None = None,
    numbering: Numbering | None = None,
    labelled: LabelledBones | None = None,
) -> Body:
    """Draw a patient with ``n_metastases`` metastases and a natural number of mimics.

    Sex, age and numbering of the column may be given.

    With ``labelled`` bones the patient is built around them, a little larger or smaller than they are; no vertebra
    collapses then, for their shape is given.
    """
    if labelled is not None:
        size = float(np.clip(rng.normal(1, SIZE_SPREAD), 1 - 2 * SIZE_SPREAD, 1 + 2 * SIZE_SPREAD))
        column, bones = fit_column(rng, resized(labelled, size), sex=sex, age_years=age_years, numbering=numbering)
        return _fill(rng, column, Collapses({}, {}), n_metastases=n_metastases, labelled=bones)
    collapses = sample_collapses(rng, n_metastases=n_metastases)
    column = sample_column(rng, sex=sex, age_years=age_years, numbering=numbering, collapsed=collapses.all)
    return _fill(rng, column, collapses, n_metastases=n_metastases)


def draw_metastases(
    rng: np.random.Generator, body: Body, *, n: int, bones: Collection[int] | None = None
) -> list[Deposit]:
    """Draw metastases that a body could have, in some of its bones by vocabulary id or in all."""
    table = body.scaffold if bones is None else body.scaffold.select(np.isin(body.scaffold.owners, list(bones)))
    found = sample_metastases(rng, table, spongiosa_hu(body.density), n=n)
    return found if body.labelled is None else settle(found, body.labelled)


def _fill(
    rng: np.random.Generator,
    column: Column,
    collapses: Collapses,
    *,
    n_metastases: int,
    labelled: LabelledBones | None = None,
) -> Body:
    """Build the skeleton of a column, with labelled bones in place of their primitives; draw deposits, soft tissue."""
    even = rng.random() < _EVEN_MARROW and not collapses.all
    density = rng.uniform(*_EVEN_HU) if even else draw_lumbar_hu(column.age_years, rng) * collapses.density
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
    deposits = (*spurs, *mimics, *metastases)
    return Body(
        column=column,
        scaffold=bones,
        bones=bones if labelled is None else without(bones, labelled),
        soft_tissue=sample_soft_tissue(
            rng, column, bones, holds_mm=None if labelled is None else labelled.sparse_points_mm()
        ),
        deposits=deposits if labelled is None else tuple(settle(deposits, labelled)),
        labelled=labelled,
        warp=random_warp(rng, amplitude_mm=5.0),
        density=density,
        cortex_hu=float(rng.uniform(1150, 1750)),
        cortex_factor=float(rng.uniform(0.75, 1.2) if even else rng.uniform(0.7, 1.35)),
        texture_hu=float(rng.uniform(8, 30) if even else rng.uniform(50, 130)),
        rim=float(rng.uniform(0.05, 0.45) if even else 1.0),
        hardware=sample_hardware(rng, column),
    )
