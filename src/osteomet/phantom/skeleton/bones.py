"""The skeleton as tables of primitives: one door to its regions, and the density of each bone.

Owners are vocabulary ids, parts the codes of `parts.PARTS`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteomet.core.vocabulary import STRUCTURES, Group
from osteomet.phantom.geometry.shapes import ShapeTable
from osteomet.phantom.skeleton.anatomy import Vertebra
from osteomet.phantom.skeleton.atlas import add_atlas
from osteomet.phantom.skeleton.parts import BODY
from osteomet.phantom.skeleton.pelvis import add_hips_and_femora
from osteomet.phantom.skeleton.sacrum import add_sacrum
from osteomet.phantom.skeleton.thorax import add_ribs
from osteomet.phantom.skeleton.vertebrae import add_column_vertebra

__all__ = ["BODY", "add_hips_and_femora", "add_ribs", "add_sacrum", "add_vertebra", "spongiosa_hu"]

_RELATIVE_DENSITY = {Group.CERVICAL: 1.5, Group.THORACIC: 1.1, Group.LUMBAR: 1.0, Group.SACRAL: 0.6, Group.PELVIS: 0.75}


def spongiosa_hu(lumbar_hu: float) -> NDArray[np.float32]:
    """Density of the spongiosa by bone id, HU, shape (256,), for a patient with this density in the lumbar spine."""
    density = np.zeros(256, dtype=np.float32)
    for structure in STRUCTURES.values():
        density[structure.id] = lumbar_hu * _RELATIVE_DENSITY.get(structure.group, 0.6) - 10
    return density


def add_vertebra(table: ShapeTable, vertebra: Vertebra, rng: np.random.Generator) -> None:
    """Add one vertebra of the column with all its parts."""
    add = add_atlas if vertebra.name == "C1" else add_column_vertebra
    add(table, vertebra, rng)
