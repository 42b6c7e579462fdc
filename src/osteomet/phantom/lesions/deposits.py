"""Deposits: lobed shapes that change the bone they sit in, be it a metastasis or something that looks like one."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from osteomet.core.vocabulary import LesionType
from osteomet.phantom.lesions.mimic_names import MIMIC_TISSUES

METASTASIS = "metastasis"
BREACH_MM = 2.0
"""How far a lytic metastasis that breaks the cortex is labelled outside of the bone, where nothing else is said."""


class Realm(StrEnum):
    """Where a deposit lies: in one bone, in soft tissue sparing all bone, or in place of whatever is there."""

    BONE = "bone"
    SOFT = "soft"
    ANYWHERE = "anywhere"


@dataclass(frozen=True, slots=True, eq=False)
class Deposit:
    """A lobed change of the bone that it sits in, or a substance.

    Parameters
    ----------
    lobes_mm
        Centre (LPS mm, in the unwarped frame) and radius of each lobe, shape (n, 4). Lobes of one type fuse.
    types
        What each lobe does: sclerotic lobes add ``shift_hu``; lytic ones move towards ``fill_hu``; marrow lobes are
        for MR and leave CT alone.
    owner
        Vocabulary id of the bone.
    cause
        `METASTASIS` or the name of a mimic.
    fill_hu, shift_hu
        Density in lysis, and what sclerosis adds, HU. A deposit outside of `Realm.BONE` has ``fill_hu`` throughout.
    edge_mm
        Half of the width over which a margin fades; the labelled surface is its middle.
    ripple_mm
        Amplitude of the waves of the surface.
    phase
        Wave vectors in units of the first radius (rows 0–2) and phases (row 3), shape (4, 3).
    rim_hu
        Density that a sclerotic rim adds at the surface of lysis, HU.
    breach
        Whether lysis destroys cortex and may outgrow it.
    outgrow_mm
        How far each lobe may lie outside of its bone; empty for `BREACH_MM` in breaching lytic lobes, else nothing.
    form
        Linear map under which every lobe is a ball, shape (3, 3): flat, long and tilted lobes.
    realm
        Where the deposit lies.
    soft_hu
        Density of what has left the bone, HU.
    treated
        Whether therapy has changed the metastasis (on MR another tissue).
    mottle
        How unevenly sclerosis is spread, 0 to 1: relative amplitude around the mean.
    strut_mm
        Spacing of thick upright trabeculae that cross a lysis and add ``shift_hu``; 0 for none.
    hole_mm
        Width of the many small holes of a permeative lysis, which leave bone between them; 0 for one whole hole.
    spiculated
        Whether the waves of the surface radiate from the centre, as spicules.
    part
        Code of the part of the bone in which it arose.
    """

    lobes_mm: NDArray[np.float64]
    types: tuple[LesionType, ...]
    owner: int
    cause: str
    fill_hu: float
    shift_hu: float
    edge_mm: float
    ripple_mm: float
    phase: NDArray[np.float64]
    rim_hu: float
    breach: bool
    outgrow_mm: tuple[float, ...] = ()
    form: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    realm: Realm = Realm.BONE
    soft_hu: float = 45.0
    treated: bool = False
    mottle: float = 0.0
    strut_mm: float = 0.0
    hole_mm: float = 0.0
    spiculated: bool = False
    part: int = 0

    @property
    def is_metastasis(self) -> bool:
        """Whether the labels of lesions show it; a mimic changes the picture alone."""
        return self.cause == METASTASIS

    @property
    def lesion_type(self) -> LesionType:
        """Its type as a whole: mixed where lobes differ."""
        return self.types[0] if len(set(self.types)) == 1 else LesionType.MIXED

    def tissue(self, kind: LesionType) -> str:
        """Name of what its lobes of one type are made of, for a scanner that sees tissue (`tissues.Tissue`)."""
        if self.is_metastasis:
            if self.treated:
                return "METASTASIS_TREATED"
            return "METASTASIS_SCLEROTIC" if kind is LesionType.SCLEROTIC else "METASTASIS"
        name = MIMIC_TISSUES[self.cause]
        return "MODIC_3" if name == "OEDEMA" and kind is LesionType.SCLEROTIC else name

    @property
    def longest(self) -> float:
        """Reach of a lobe in its longest direction, in radii."""
        return 1 / float(np.linalg.svd(self.form, compute_uv=False).min())

    def outgrowth_mm(self) -> NDArray[np.float64]:
        """How far each lobe may lie outside of its bone, shape (n,)."""
        if self.outgrow_mm:
            return np.array(self.outgrow_mm)
        return np.array([BREACH_MM if self.breach and kind is LesionType.LYTIC else 0.0 for kind in self.types])


def random_phase(rng: np.random.Generator, *, coarsest: float = 1.5, finest: float = 6.0) -> NDArray[np.float64]:
    """Three random wave directions from coarse to fine (rows 0–2, radians per radius) and their phases (row 3)."""
    waves = rng.normal(size=(3, 3))
    lengths = np.geomspace(coarsest, finest, 3) * rng.uniform(0.8, 1.25, 3)
    waves *= (lengths / np.linalg.norm(waves, axis=1))[:, None]
    return np.vstack([waves, rng.uniform(0, 2 * np.pi, 3)])


def flattened(axes: NDArray[np.float64], squeeze: tuple[float, float, float]) -> NDArray[np.float64]:
    """Form of lobes that are ``squeeze`` times thinner along each of three unit axes (columns).

    Examples
    --------
    >>> flattened(np.eye(3), (1, 1, 4)).diagonal().tolist()
    [1.0, 1.0, 4.0]
    """
    return np.asarray(np.diag(squeeze) @ axes.T, dtype=np.float64)
