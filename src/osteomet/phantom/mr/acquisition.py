"""MR of a phantom: from the tissues of each voxel to the stored images of one acquisition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from osteomet.core.grid import check_same_grid
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.phantom.mr.artefacts import Image, magnitude
from osteomet.phantom.mr.encoding import Echo, Run
from osteomet.phantom.mr.geometry import Stack
from osteomet.phantom.mr.scanner import Composition, MrScanner
from osteomet.phantom.mr.sequences import OPPOSED, WATER, Method, Sequence, phase_name, tissue_signals
from osteomet.phantom.mr.signals import fit_adc_um2_per_ms, separate_two_points

_ADC_UNIT_PER_UM2_PER_MS = 1000
_ADC_LIMIT = 4095
_FLOOR_OF_ADC = 3.0
_LARGEST = np.iinfo(np.int16).max


@dataclass(frozen=True, slots=True, eq=False)
class MrImages:
    """Images of one acquisition by name, and by how much the patient lay displaced in it (LPS mm).

    A structure at ``p`` appears at ``p + displacement_mm``.
    """

    images: Mapping[str, Volume]
    displacement_mm: tuple[float, float, float]
    main: str


def image_mr(
    composition: Composition,
    sequence: Sequence,
    scanner: MrScanner,
    rng: np.random.Generator,
    stack: Stack | None = None,
) -> Volume:
    """Main image of an acquisition, the one that its role names; of a dynamic series the last phase.

    See `acquire` for the parameters.
    """
    acquired = acquire(composition, sequence, scanner, rng, stack)
    return acquired.images[acquired.main]


def acquire(
    composition: Composition,
    sequence: Sequence,
    scanner: MrScanner,
    rng: np.random.Generator,
    stack: Stack | None = None,
) -> MrImages:
    """Image a composition.

    Parameters
    ----------
    composition
        Tissue on the fine grid of ``stack``.
    sequence, scanner
        Settings.
    rng
        Draws displacement, motion, the place of ghosts, and noise.
    stack
        Voxels of the images; None makes each voxel of the composition one of the image.

    Returns
    -------
    MrImages
        int16 volumes in a.u., named by role; a Dixon acquisition has ``T1-IP``, ``opposed``, ``FO`` and ``water``,
        diffusion one image a b value (``b800``) with ``DWI`` (the highest) and ``ADC`` (in 10⁻⁶ mm²/s), a dynamic
        series ``phase-01`` and so on. The scale is that of the sequence and not of the picture: any crop of a
        phantom has the same values.

    Raises
    ------
    GeometryError
        If composition and stack do not fit each other.
    """
    stack = stack or Stack(composition.grid)
    check_same_grid(composition.grid, stack.fine, names=("the composition", "the layers of the stack"))
    run = Run.prepare(composition, sequence, scanner, rng, stack)
    echoes = {c.name: run.encode(c) for c in tissue_signals(sequence, scanner.tissues)}
    pictures, main = _reconstruct(echoes, sequence, run)
    images = {}
    for name, picture in pictures.items():
        scale = 1.0 if name == SequenceRole.ADC.value else scanner.level / run.reference
        images[name] = Volume(_stored(picture, scale), stack.grid, Modality.MR, Unit.ARBITRARY)
    x, y, z = (float(v) for v in run.displacement_mm)
    return MrImages(MappingProxyType(images), (x, y, z), main)


def _reconstruct(echoes: dict[str, Echo], sequence: Sequence, run: Run) -> tuple[dict[str, Image], str]:
    """Pictures from echoes, and the name of the main one."""
    role = sequence.role.value
    pictures = {name: echo.magnitude for name, echo in echoes.items()}
    if sequence.method is Method.DIXON:
        pictures = {OPPOSED: pictures[OPPOSED], SequenceRole.T1_IP.value: pictures[role]}
        pictures |= _dixon(echoes[role], echoes[OPPOSED])
    if sequence.method is Method.DIFFUSION:
        weighted = list(pictures.values())
        adc = fit_adc_um2_per_ms(weighted, sequence.b_s_per_mm2)
        adc[weighted[0] < _FLOOR_OF_ADC * run.sigma] = 0
        limited = np.minimum(adc * np.float32(_ADC_UNIT_PER_UM2_PER_MS), _ADC_LIMIT)
        pictures |= {SequenceRole.DWI.value: weighted[-1], SequenceRole.ADC.value: limited}
    return pictures, phase_name(len(sequence.times_s)) if len(sequence.times_s) > 1 else role


def _dixon(in_phase: Echo, opposed: Echo) -> dict[str, Image]:
    """Water and fat from complex echoes whose phase is known."""
    water_real, fat_real = separate_two_points(in_phase.real, opposed.real)
    water_imaginary, fat_imaginary = separate_two_points(in_phase.imaginary, opposed.imaginary)
    return {WATER: magnitude(water_real, water_imaginary), SequenceRole.FO.value: magnitude(fat_real, fat_imaginary)}


def _stored(picture: Image, scale: float) -> NDArray[np.int16]:
    """Integers as scanners store them."""
    return np.asarray(np.minimum(picture * np.float32(scale) + np.float32(0.5), _LARGEST).astype(np.int16))
