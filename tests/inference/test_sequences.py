"""Sequences are put in place on the first, and what cannot be is left out with the reason."""

from dataclasses import replace

import numpy as np
import pytest

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.image.register import Registered
from osteomet.inference import sequences
from osteomet.inference.sequences import align_sequences

T1, T1_IP, FO, DWI, ADC, T2 = (SequenceRole(name) for name in ("T1", "T1-IP", "FO", "DWI", "ADC", "T2"))
PREFERRED = (T1, T1_IP, T2, DWI)
GRID = Grid.from_spacing((10, 12, 8), (2.0, 2.0, 4.0))


def volume(grid: Grid = GRID) -> Volume:
    array = np.random.default_rng(0).integers(0, 500, grid.shape).astype(np.int16)
    return Volume(array, grid, Modality.MR, Unit.ARBITRARY)


def moved(grid: Grid, shift_mm: float) -> Grid:
    origin = np.array(grid.origin_mm) + [shift_mm, 0, 0]
    return Grid.from_spacing(grid.shape, grid.spacing_mm, origin_mm=origin.tolist())


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What registration finds, in place of the search: shift, turn and likeness, as a test wants them."""
    numbers = {"shift": 3.0, "angle": 1.0, "likeness": 2.0, "likeness as scanned": 1.5}

    def register(_: Volume, moving: Volume) -> Registered:
        there = replace(moving, grid=moved(moving.grid, -numbers["shift"]))
        return Registered(there, np.eye(4), numbers["shift"], numbers["angle"])

    monkeypatch.setattr(sequences, "register_rigid", register)
    monkeypatch.setattr(
        sequences,
        "alignment_gain",
        lambda fixed, moving: numbers["likeness as scanned" if moving.grid.same_as(fixed.grid) else "likeness"],
    )
    return numbers


@pytest.mark.usefixtures("found")
def test_the_first_stays_and_others_move() -> None:
    aligned = align_sequences({T2: volume(), T1: volume()}, PREFERRED)
    assert aligned.first is T1
    assert aligned.volumes[T1].grid.same_as(GRID)
    assert aligned.volumes[T2].grid.same_as(moved(GRID, -3.0))
    assert aligned.notes[T2] == "registered to T1: moved by 3.0 mm and 1.0°"
    assert not aligned.left_out


@pytest.mark.usefixtures("found")
def test_images_of_one_acquisition_move_as_one() -> None:
    """The fat image lies as the in-phase one on its own grid, and is registered by itself on another."""
    study = {FO: volume(), T1: volume(), T1_IP: volume()}
    aligned = align_sequences(study, PREFERRED)
    assert aligned.volumes[FO].grid.same_as(aligned.volumes[T1_IP].grid)
    assert aligned.notes[FO] == "of one acquisition with T1-IP, lies as that does"
    other = align_sequences({**study, FO: volume(moved(GRID, 0.5))}, PREFERRED)
    assert not other.notes[FO].startswith("of one acquisition")


@pytest.mark.parametrize("astray", [{"shift": 26.0}, {"angle": 12.0}, {"likeness": 1.4}])
def test_a_registration_that_goes_astray_is_not_followed(found: dict[str, float], astray: dict[str, float]) -> None:
    """Farther than a patient moves, or to where the images are less alike than the 1.5 where the scanner says."""
    found.update(astray)
    aligned = align_sequences({T1: volume(), T2: volume()}, PREFERRED)
    assert aligned.volumes[T2].grid.same_as(GRID)
    assert aligned.notes[T2] == "lies beside T1 as the scanner says"


def test_what_is_alike_nowhere_is_left_out(found: dict[str, float]) -> None:
    found.update({"likeness": 1.02, "likeness as scanned": 1.01})
    aligned = align_sequences({T1: volume(), T2: volume()}, PREFERRED)
    assert set(aligned.volumes) == {T1}
    assert aligned.left_out[T2].startswith(
        "not used beside T1: it does not show the same, registered or not; expected "
    )
    assert aligned.left_out[T2].endswith("; got 1.02 times")


def test_less_than_half_of_the_field_of_view_in_common() -> None:
    """Axial slabs of 32 mm, the second 20 mm higher: 12 of 32 mm in common."""
    high = Grid.from_spacing(GRID.shape, GRID.spacing_mm, origin_mm=(0, 0, 20.0))
    aligned = align_sequences({T1: volume(), DWI: volume(high), ADC: volume(high)}, PREFERRED)
    assert set(aligned.volumes) == {T1}
    assert set(aligned.left_out) == {DWI, ADC}
    for reason in aligned.left_out.values():
        assert "different parts of the patient; expected at least 50%" in reason
