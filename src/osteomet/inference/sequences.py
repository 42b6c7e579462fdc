"""Put the MR sequences of a study in place on one another, and leave out what cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from osteomet.core.errors import GeometryError
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Volume
from osteomet.image.register import alignment_gain, register_rigid

LARGEST_SHIFT_MM, LARGEST_TURN_DEG = 25.0, 10.0
"""A patient who stays on the table moves less between two sequences; a registration that finds more has gone astray."""
LEAST_GAIN = 1.1
_ONE_ACQUISITION = {SequenceRole.FO: SequenceRole.T1_IP, SequenceRole.ADC: SequenceRole.DWI}


@dataclass(frozen=True, slots=True, eq=False)
class AlignedSequences:
    """Sequences in place on the first of them, on which all results will lie.

    ``volumes`` keep their voxels, only their grids move; ``notes`` says how each was put in place, ``left_out`` why
    another was not.
    """

    first: SequenceRole
    volumes: Mapping[SequenceRole, Volume]
    notes: Mapping[SequenceRole, str]
    left_out: Mapping[SequenceRole, str]


def align_sequences(volumes: Mapping[SequenceRole, Volume], preferred: Sequence[SequenceRole]) -> AlignedSequences:
    """Register every sequence to the first.

    Parameters
    ----------
    volumes
        The sequences, at least one of them preferred.
    preferred
        Roles to which others may be registered, best first.

    Notes
    -----
    A fat image lies as its in-phase one does, and a map of the ADC as its diffusion, where they were acquired on one
    grid: they are computed from the same echoes. Any other sequence is left out where it shares less than half of the
    smaller field of view, the rule of `kim2024`, or where the two are hardly more alike in place than beside it.
    Where registration goes astray, farther than a patient on the table moves or to a place where they are less alike
    than where the scanner says, the word of the scanner is taken.
    """
    first = next(role for role in preferred if role in volumes)
    placed, notes = {first: volumes[first]}, {first: "all results lie on this sequence"}
    left_out: dict[SequenceRole, str] = {}
    order = sorted((role for role in volumes if role != first), key=lambda role: role in _ONE_ACQUISITION)
    for role in order:
        partner = _ONE_ACQUISITION.get(role)
        if partner is not None and partner in placed and volumes[partner].grid.same_as(volumes[role].grid):
            placed[role] = replace(volumes[role], grid=placed[partner].grid)
            notes[role] = f"of one acquisition with {partner.value}, lies as that does"
            continue
        try:
            placed[role], notes[role] = _in_place(volumes[first], volumes[role], first)
        except GeometryError as error:
            left_out[role] = f"not used beside {first.value}: {error}"
    return AlignedSequences(first, placed, notes, left_out)


def _in_place(fixed: Volume, moving: Volume, first: SequenceRole) -> tuple[Volume, str]:
    """A sequence where it is most like the first, and how that was found; raises GeometryError if it is so nowhere."""
    found = register_rigid(fixed, moving)
    places = [(alignment_gain(fixed, moving), moving, f"lies beside {first.value} as the scanner says")]
    if found.shift_mm <= LARGEST_SHIFT_MM and found.angle_deg <= LARGEST_TURN_DEG:
        note = f"registered to {first.value}: moved by {found.shift_mm:.1f} mm and {found.angle_deg:.1f}°"
        places.append((alignment_gain(fixed, found.volume), found.volume, note))
    likeness, volume, note = max(places, key=lambda place: place[0])
    if likeness < LEAST_GAIN:
        raise GeometryError(
            "it does not show the same, registered or not",
            expected=f"{LEAST_GAIN:g} times the likeness in place that there is beside it",
            got=f"{likeness:.2f} times",
        )
    return volume, note
