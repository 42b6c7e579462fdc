"""When the phases of a dynamic series were taken, by the tags that scanners fill."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pydicom import Dataset
from tests.io.test_dicom_series import noise, to_mr, write

from osteomet.io.dicom_series import find_series
from osteomet.io.phase_clock import phase_times_s

Tags = Callable[[Dataset, int, int], None]


def times(folder: Path, tags: Tags) -> Sequence[float] | None:
    """Three phases of two slices; ``tags(dataset, phase, slice)`` writes what tells their times."""

    def edit(dataset: Dataset, k: int) -> None:
        to_mr(dataset, TemporalPositionIdentifier=1 + k // 2)
        dataset.ImagePositionPatient = [0, 0, 5 * (k % 2)]
        tags(dataset, k // 2, k % 2)

    headers = find_series(write(noise(), folder, edit))
    assert [header.tags.phase for header in headers] == [1, 2, 3]
    return phase_times_s(headers)


def test_acquisition_times_count_from_the_first_phase_by_its_first_slice(tmp_path: Path) -> None:
    def tags(dataset: Dataset, phase: int, slice_: int) -> None:
        dataset.AcquisitionTime = f"1159{30 + 12 * phase + slice_:02d}.5" if phase < 2 else f"120010.{slice_}"

    assert times(tmp_path, tags) == (0.0, 12.0, 39.5)


def test_a_series_that_runs_past_midnight_goes_on_counting(tmp_path: Path) -> None:
    def tags(dataset: Dataset, phase: int, _: int) -> None:
        dataset.AcquisitionTime = ("235950", "000002", "000014")[phase]

    assert times(tmp_path, tags) == (0.0, 12.0, 24.0)


def test_a_tag_that_is_the_same_in_two_phases_is_passed_over(tmp_path: Path) -> None:
    def tags(dataset: Dataset, phase: int, _: int) -> None:
        dataset.AcquisitionTime = "120000"
        dataset.TriggerTime = str((100, 6100, 12600)[phase])

    assert times(tmp_path, tags) == (0.0, 6.0, 12.5)


def test_an_offset_goes_before_the_clock(tmp_path: Path) -> None:
    def tags(dataset: Dataset, phase: int, _: int) -> None:
        dataset.AcquisitionTime = f"1200{phase:02d}"
        dataset.TemporalPositionTimeOffset = 7.0 * phase

    assert times(tmp_path, tags) == (0.0, 7.0, 14.0)


def test_no_tag_that_all_phases_have_no_times(tmp_path: Path) -> None:
    def tags(dataset: Dataset, phase: int, _: int) -> None:
        dataset.AcquisitionTime = f"1200{phase:02d}" if phase < 2 else None

    assert times(tmp_path, tags) is None
