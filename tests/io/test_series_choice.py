"""Which of several series of one role is used, and what is said about the others."""

import math
from pathlib import Path

from osteomet.core.vocabulary import SequenceRole as Role
from osteomet.io.dicom_files import FileRef
from osteomet.io.dicom_frames import Frame, Identity, Plane
from osteomet.io.dicom_series import SeriesHeader
from osteomet.io.sequence_roles import RoleDecision, SequenceTags
from osteomet.io.series_choice import Candidate, choose


def candidate(
    number: int,
    role: Role = Role.CT,
    *,
    n_slices: int = 100,
    spacing_mm: float = 1.0,
    pixel_mm: float = 1.0,
    **tags: object,
) -> Candidate:
    """Axial slices upward from z = 0."""
    modality = "CT" if role is Role.CT else "MR"
    identity = Identity(modality, "", f"1.{number}", "1", None, None, None, number, None)
    acquired = SequenceTags(modality=modality, **tags)  # type: ignore[arg-type]
    frames = tuple(
        Frame(
            FileRef(Path(f"{number}/{k}")),
            0,
            k,
            Plane((4, 4), (0.0, 0.0, spacing_mm * k), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (pixel_mm, pixel_mm)),
            1.0,
            0.0,
            {},
            identity,
            acquired,
        )
        for k in range(n_slices)
    )
    return Candidate(SeriesHeader(identity, acquired, frames), RoleDecision(role, "because"))


def numbers(candidates: list[Candidate]) -> list[int | None]:
    return [c.header.identity.series_number for c in candidates]


ORIGINAL, REFORMAT = ("ORIGINAL", "PRIMARY", "AXIAL"), ("DERIVED", "SECONDARY", "MPR")


def test_nothing_to_choose() -> None:
    assert choose([]) == ([], [])


def test_one_of_each_role_is_kept() -> None:
    given = [candidate(1), candidate(2, Role.T1), candidate(3, Role.STIR)]
    assert choose(given) == (given, [])


def test_thin_soft_axial_ct_wins_over_its_neighbours() -> None:
    """Study of a cancer centre: 5 mm soft, 1.25 mm soft, 1 mm bone kernel, sagittal reformat, 1 mm chest only."""
    chosen, left = choose(
        [
            candidate(2, n_slices=120, spacing_mm=5.0, kernel="Br38f", image_type=ORIGINAL),
            candidate(3, n_slices=480, spacing_mm=1.25, kernel="Br38f", image_type=ORIGINAL),
            candidate(4, n_slices=600, spacing_mm=1.0, kernel="Br60f", image_type=ORIGINAL),
            candidate(5, n_slices=600, spacing_mm=1.0, kernel="Br38f", image_type=REFORMAT),
            candidate(6, n_slices=300, spacing_mm=1.0, kernel="Br38f", image_type=ORIGINAL),
        ]
    )
    assert numbers(chosen) == [3]
    reasons = {c.header.identity.series_number: c.decision.reason for c in left}
    assert all(c.decision.role is None for c in left)
    assert "its slices are thinner" in reasons[2]
    assert "its kernel is softer" in reasons[4]
    assert "it is an original acquisition" in reasons[5]
    assert "it covers more from head to foot" in reasons[6]
    assert reasons[6].startswith("series 3 is used as CT instead: ")
    assert reasons[6].endswith("pass --sequence CT=PATH")


def test_a_thin_sharp_series_wins_over_a_thick_soft_one() -> None:
    chosen, _ = choose([candidate(1, spacing_mm=5.0, kernel="STANDARD"), candidate(2, n_slices=500, kernel="BONE")])
    assert numbers(chosen) == [2]


def test_equal_series_fall_to_the_first_number() -> None:
    chosen, left = choose([candidate(8), candidate(7)])
    assert (numbers(chosen), numbers(left)) == ([7], [8])
    assert "lower series number" in left[0].decision.reason


def test_each_b_value_is_kept_and_the_trace_preferred() -> None:
    chosen, left = choose(
        [
            candidate(1, Role.DWI, b_value_s_per_mm2=50.0),
            candidate(2, Role.DWI, b_value_s_per_mm2=800.0),
            candidate(3, Role.DWI, b_value_s_per_mm2=800.0, image_type=("DERIVED", "PRIMARY", "DIFFUSION", "TRACEW")),
        ]
    )
    assert (numbers(chosen), numbers(left)) == ([1, 3], [2])


def test_all_phases_of_one_dynamic_series_are_kept() -> None:
    phases = [candidate(4, Role.DYNAMIC, phase=n) for n in (1, 2, 3)]
    chosen, left = choose([*phases, candidate(5, Role.DYNAMIC, n_slices=20, phase=1)])
    assert [c.header.tags.phase for c in chosen] == [1, 2, 3]
    assert numbers(left) == [5]


def test_finer_mr_wins() -> None:
    chosen, _ = choose([candidate(1, Role.T1, pixel_mm=1.0), candidate(2, Role.T1, pixel_mm=0.5)])
    assert numbers(chosen) == [2]


def test_header_measures() -> None:
    header = candidate(1, n_slices=5, spacing_mm=2.5).header
    assert (header.n_slices, header.slice_spacing_mm, header.head_foot_mm) == (5, 2.5, 10.0)
    single = candidate(1, n_slices=1).header
    assert (single.n_slices, single.head_foot_mm) == (1, 0.0)
    assert math.isinf(single.slice_spacing_mm)
