"""What an MR simulation needs besides the sequence: tissue in every voxel, and a scanner with its flaws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import GeometryError
from osteomet.core.grid import Grid
from osteomet.phantom.mr.artefacts import EVEN_COIL, NO_WAVES, Coil, Waves, random_waves
from osteomet.phantom.mr.saturation import SaturationBand
from osteomet.phantom.mr.signals import LARMOR_MHZ_PER_T
from osteomet.phantom.mr.tissues import TissueTable, tissue_table


@dataclass(frozen=True, slots=True, eq=False)
class Composition:
    """What fills each voxel of a grid: two tissues at most.

    Parameters
    ----------
    grid
        Where the voxels lie: `Stack.fine` of the acquisition.
    index_a, index_b
        `Tissue` indices.
    share_b
        Share of the second tissue, 0–1.
    marrow_fat
        Fat fraction of the marrow where a tissue is `Tissue.MIXED_MARROW`, 0–1; ignored elsewhere.

    Raises
    ------
    GeometryError
        If an array and the grid differ in shape.
    """

    grid: Grid
    index_a: NDArray[np.uint8]
    index_b: NDArray[np.uint8]
    share_b: NDArray[np.float32]
    marrow_fat: NDArray[np.float32]

    def __post_init__(self) -> None:
        for name in ("index_a", "index_b", "share_b", "marrow_fat"):
            if getattr(self, name).shape != self.grid.shape:
                raise GeometryError(
                    f"{name} and the grid of a composition differ in shape",
                    expected=f"{self.grid.shape}",
                    got=f"{getattr(self, name).shape}",
                    remedy="fill every array on `Stack.fine` of the acquisition",
                )


@dataclass(frozen=True, slots=True, eq=False)
class MrScanner:
    """A scanner with its patient in place; as constructed without a flaw, as drawn by `sample_mr_scanner` with all.

    Parameters
    ----------
    tissues
        Relaxation and the rest of this patient at the field strength of this scanner.
    level
        Stored value of the reference signal (`reference_signal`), a.u.
    coil, bias
        Intensity over the patient: the array, and the logarithm of everything else.
    field_ppm
        What shimming left of the main field; susceptibility comes on top.
    has_susceptibility
        Whether air, gas, lung and metal disturb the field.
    noise_gain
        Logarithm of the noise amplification over the patient.
    ghost_share
        Share of the signal of vessels and cerebrospinal fluid that ghosts carry.
    motion_px
        Standard deviation of the displacement of the patient during an acquisition, pixels.
    shift_mm
        Standard deviation of the displacement between acquisitions along each patient axis, mm.
    polarity
        Direction of the readout gradient, 1 or -1: to which side fat is displaced.
    band
        Where spin echoes are saturated beforehand; None for nowhere.
    """

    tissues: TissueTable
    level: float = 500.0
    coil: Coil = EVEN_COIL
    bias: Waves = NO_WAVES
    field_ppm: Waves = NO_WAVES
    has_susceptibility: bool = False
    noise_gain: Waves = NO_WAVES
    ghost_share: float = 0.0
    motion_px: float = 0.0
    shift_mm: float = 0.0
    polarity: int = 1
    band: SaturationBand | None = None

    @property
    def field_strength_t(self) -> float:
        """Field strength, tesla."""
        return self.tissues.field_strength_t

    @property
    def hz_per_ppm(self) -> float:
        """Larmor frequency in MHz."""
        return LARMOR_MHZ_PER_T * self.field_strength_t


def sample_mr_scanner(rng: np.random.Generator, field_strength_t: float) -> MrScanner:
    """Draw a patient and a scanner of one of three habits of scaling and intensity correction."""
    habit = int(rng.integers(3))
    level = (220.0, 700.0, 420.0)[habit] * float(rng.lognormal(0, 0.35))
    is_high = field_strength_t == 3.0
    return MrScanner(
        tissue_table(field_strength_t, rng),
        level=level,
        coil=Coil(
            plane_y_mm=float(rng.uniform(85, 125)),
            reach_mm=float(rng.uniform(60, 110)),
            anterior_share=float((0.85, 0.35, 0.6)[habit] + rng.uniform(-0.25, 0.1)),
        ),
        bias=random_waves(rng, spread=float(rng.uniform(0.03, 0.16 if is_high else 0.1))),
        field_ppm=random_waves(rng, spread=float(rng.uniform(0.05, 0.35))),
        has_susceptibility=True,
        noise_gain=random_waves(rng, spread=float(rng.uniform(0.0, 0.2)), shortest_mm=80.0),
        ghost_share=float(rng.choice([0.0, rng.uniform(0.02, 0.12)])),
        motion_px=float(rng.exponential(0.7)) if rng.random() < 0.25 else 0.0,
        shift_mm=float(rng.choice([0.2, 0.6, 1.5], p=[0.5, 0.35, 0.15])),
        polarity=int(rng.choice([-1, 1])),
    )
