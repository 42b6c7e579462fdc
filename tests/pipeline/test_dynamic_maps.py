"""Maps by command: of one series against what the phantom is made of, of a data set, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from tests.conftest import Osteomet
from tests.pipeline.dynamic_set import BASELINE, CURVES, GRID, TIMES_S, write_series

from osteomet.core.errors import UsageError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.io.dicom_instances import DicomStudy, SeriesTitle
from osteomet.io.dicom_mr_writer import MrAcquisition, MrRepeat, write_mr_series
from osteomet.io.formats import read_instances, read_volume, write_volume
from osteomet.io.lesion_cases import channel_names
from osteomet.phantom.mr.protocols import preset
from osteomet.phantom.mr.sequences import tissue_signals
from osteomet.phantom.mr.signals import RELAXIVITY_PER_MM_S
from osteomet.phantom.mr.tissues import Tissue, tissue_table
from osteomet.pipeline.dynamic_maps import MAPS, TOFTS_MAPS, read_tofts

TISSUES = (Tissue.METASTASIS, Tissue.PRIMARY_TUMOUR)


def write_phantom(folder: Path) -> tuple[list[Path], list[float]]:
    """Two tissues of the phantom, half of the image each, in all phases; times count from the first phase."""
    table, sequence = tissue_table(1.5), preset(SequenceRole.DYNAMIC, 1.5)
    grid = Grid.from_spacing((12, 10, 6), (1.0, 1.0, 3.0))
    paths = []
    for number, contrast in enumerate(tissue_signals(sequence, table)):
        signal = np.full(grid.shape, contrast.water[TISSUES[0]], dtype=np.float32)
        signal[6:] = contrast.water[TISSUES[1]]
        paths.append(folder / f"phase_{number:02d}.nii.gz")
        write_volume(Volume(signal, grid, Modality.MR, Unit.ARBITRARY), paths[-1])
    return paths, [time - sequence.times_s[0] for time in sequence.times_s]


def phase_options(paths: list[Path], times_s: list[float]) -> list[object]:
    options: list[object] = ["--times", ",".join(f"{time:.6f}" for time in times_s)]
    for path in paths:
        options += ["--phase", path]
    return options


def values(folder: Path, name: str) -> list[float]:
    """Value of a map in each of the two tissues."""
    array = read_volume(folder / f"{name}.nii.gz", modality=Modality.MR).array
    assert np.ptp(array[:6]) == np.ptp(array[6:]) == 0
    return [float(array[0, 0, 0]), float(array[6, 0, 0])]


def test_maps_of_the_phantom_are_its_kinetics(tmp_path: Path, osteomet: Osteomet) -> None:
    paths, times_s = write_phantom(tmp_path)
    table, sequence = tissue_table(1.5), preset(SequenceRole.DYNAMIC, 1.5)
    arrival = -sequence.times_s[0]
    (tmp_path / "tofts.toml").write_text(
        f"t1_ms = {table.t1_ms[TISSUES[0]]}\ntr_ms = {sequence.tr_ms}\nflip_degree = {sequence.flip_degree}\n"
        f"relaxivity_per_mm_s = {RELAXIVITY_PER_MM_S[1.5][0]}\n"
    )
    options = [*phase_options(paths, times_s), "--still", "--arrival", arrival, "--tofts", tmp_path / "tofts.toml"]
    assert osteomet("radiomics", "map", *options, "--out", tmp_path / "maps").code == 0
    assert {p.name for p in (tmp_path / "maps").glob("*.nii.gz")} == {f"{name}.nii.gz" for name in MAPS + TOFTS_MAPS}
    signals = np.array([[c.water[t] for c in tissue_signals(sequence, table)] for t in TISSUES])
    late = np.array(sequence.times_s) > 0
    enhancement = signals / signals[:, ~late].mean(axis=1, keepdims=True) - 1
    peak_at = enhancement[:, late].argmax(axis=1)
    to_peak = np.array(sequence.times_s)[late][peak_at]
    peak = enhancement.max(axis=1)
    assert values(tmp_path / "maps", "peak_enhancement") == pytest.approx(peak, rel=1e-4)
    assert values(tmp_path / "maps", "time_to_peak_s") == pytest.approx(to_peak, rel=1e-4)
    assert values(tmp_path / "maps", "wash_in_per_s") == pytest.approx(peak / to_peak, rel=1e-4)
    # T1 is that of the metastasis, so the model is that of the metastasis.
    assert values(tmp_path / "maps", "ktrans_per_min")[0] == pytest.approx(table.ktrans_per_min[TISSUES[0]], rel=0.05)
    assert values(tmp_path / "maps", "ve")[0] == pytest.approx(table.ve[TISSUES[0]], rel=0.1)
    assert values(tmp_path / "maps", "vp")[0] == pytest.approx(table.vp[TISSUES[0]], abs=0.01)


def test_arrival_is_found_to_a_phase(tmp_path: Path, osteomet: Osteomet) -> None:
    paths, times_s = write_phantom(tmp_path)
    assert osteomet("radiomics", "map", *phase_options(paths, times_s), "--still", "--out", tmp_path / "maps").code == 0
    facts = json.loads((tmp_path / "maps" / "maps.json").read_text())
    arrival = -preset(SequenceRole.DYNAMIC, 1.5).times_s[0]
    before = max(time for time in times_s if time <= arrival)
    assert facts["arrival_s"] == pytest.approx(before, abs=1e-5)
    assert facts["motion_mm"] == [0.0] * len(times_s)


def test_a_data_set_of_phases_becomes_one_of_maps(tmp_path: Path, osteomet: Osteomet) -> None:
    data = write_series(tmp_path / "series", n_patients=2)
    found = osteomet("radiomics", "map", "--data", data, "--still", "--out", tmp_path / "maps")
    assert found.code == 0
    assert found.out == f"{tmp_path / 'maps'}: 5 maps of 2 cases\n"
    assert tuple(channel_names(tmp_path / "maps").values()) == MAPS
    assert (tmp_path / "maps" / "cases.csv").read_bytes() == (data / "cases.csv").read_bytes()
    for patient, curve in enumerate(CURVES.values()):
        lesion = read_instances(tmp_path / "maps" / "instancesTr" / f"c{patient:02d}.nii.gz").array > 0
        means = {
            name: float(
                read_volume(
                    tmp_path / "maps" / "imagesTr" / f"c{patient:02d}_{number:04d}.nii.gz", modality=Modality.MR
                ).array[lesion].mean()
            )
            for number, name in enumerate(MAPS)
        }  # fmt: skip
        peak, at = max(curve), TIMES_S[int(np.argmax(curve))] - 12.0
        assert means["peak_enhancement"] == pytest.approx(peak, abs=0.05)
        assert means["time_to_peak_s"] == pytest.approx(at, rel=0.05)
        assert means["wash_in_per_s"] == pytest.approx(peak / at, rel=0.05)
        # The metastasis falls by 0.8 in 24 s; the other is brightest at the end and has no wash-out.
        assert means["wash_out_per_s"] == pytest.approx(-0.8 / 24 if patient == 0 else 0.0, abs=0.003)
    facts = json.loads((tmp_path / "maps" / "maps.json").read_text())["cases"]["c01"]
    assert facts["arrival_s"] == 12.0
    assert facts["undefined_voxels"]["wash_out_per_s"] > 0


def drop_phase(folder: Path) -> None:
    (folder / "imagesTr" / "c01_0003.nii.gz").unlink()


def drop_time(folder: Path) -> None:
    table = folder / "phases.csv"
    table.write_text(table.read_text().replace("c01,phase-04,36.0\n", ""))


def swap_times(folder: Path) -> None:
    table = folder / "phases.csv"
    table.write_text(table.read_text().replace("c01,phase-04,36.0", "c01,phase-04,6.0"))


def no_times(folder: Path) -> None:
    (folder / "phases.csv").unlink()


def other_grid(folder: Path) -> None:
    grid = Grid.from_spacing(GRID.shape, (2.0, 2.0, 4.0))
    volume = Volume(np.zeros(GRID.shape, np.float32), grid, Modality.MR, Unit.ARBITRARY)
    write_volume(volume, folder / "imagesTr" / "c01_0002.nii.gz")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (drop_phase, "case “c01” of the data set; expected an image of channel 3; got none"),
        (drop_time, "case “c01”: phases.csv does not say when phases of the case were taken"),
        (swap_times, "case “c01”: the phases of a dynamic series are not in order of time"),
        (no_times, "phases.csv is missing; expected a table with the columns case, channel and time_s"),
        (other_grid, "case “c01”: phase 1 and phase 3 differ in geometry"),
    ],
)
def test_series_that_cannot_be_mapped(tmp_path: Path, spoil: Any, message: str, osteomet: Osteomet) -> None:
    data = write_series(tmp_path / "series", n_patients=2)
    spoil(data)
    found = osteomet("radiomics", "map", "--data", data, "--still", "--out", tmp_path / "maps")
    assert found.code == 3
    assert message in found.err
    assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize(
    ("times", "code", "message"),
    [
        ("0,12,24", 2, "each phase of a dynamic series has its time; expected --times with 5 numbers; got 3"),
        ("0,12,24,20,60", 3, "not in order of time; expected ascending times; got phase 4 at 20 s after phase 3"),
        ("0,soon", 2, "--times holds something other than numbers; expected 0,12,24,36; got 0,soon"),
    ],
)
def test_times_that_cannot_be_meant(tmp_path: Path, times: str, code: int, message: str, osteomet: Osteomet) -> None:
    data = write_series(tmp_path / "series", n_patients=1)
    phases: list[object] = []
    for path in sorted((data / "imagesTr").iterdir()):
        phases += ["--phase", path]
    found = osteomet("radiomics", "map", *phases, "--times", times, "--still", "--out", tmp_path / "maps")
    assert found.code == code
    assert message in found.err
    found = osteomet("radiomics", "map", *phases, "--data", data, "--out", tmp_path / "maps")
    expected = "say what to map; expected --phase, once for each, with --times; or --series; or --data"
    assert expected in found.err
    found = osteomet("radiomics", "map", *phases, "--times", times, "--series", data, "--out", tmp_path / "maps")
    assert (found.code, expected in found.err) == (2, True)


T1_SPOILED = MrAcquisition(1.5, 63.87, 4.2, 1.5, ("GR",), ("SP",), flip_degree=15.0)


def write_dicom(folder: Path, *, titles: tuple[str, ...], times_s: tuple[float | None, ...] = TIMES_S) -> None:
    """One dynamic series for each title, of one block that enhances as a metastasis, and one image of T2 beside it."""
    study, rng = DicomStudy("1.2.3", "1.2.4"), np.random.default_rng(0)
    repeats = []
    for value, time in zip(CURVES["metastasis"], times_s, strict=True):
        signal = np.full(GRID.shape, BASELINE)
        signal[8:14, 8:14, 3:7] *= 1 + value
        repeats.append(MrRepeat(Volume(signal.astype(np.int16), GRID, Modality.MR, Unit.ARBITRARY), time_s=time))
    for number, title in enumerate(titles, start=1):
        place = folder / f"{number}"
        write_mr_series(repeats, place, T1_SPOILED, rng=rng, study=study, title=SeriesTitle(number, title))
    t2 = replace(T1_SPOILED, tr_ms=4000.0, te_ms=90.0, scanning_sequence=("SE",), sequence_variant=("NONE",))
    write_mr_series(repeats[:1], folder / "t2", t2, rng=rng, study=study, title=SeriesTitle(9, "t2_tse_sag"))


def test_a_dicom_series_among_others_is_mapped_by_the_times_of_its_headers(tmp_path: Path, osteomet: Osteomet) -> None:
    """The peak of 1.8 comes 24 s after the arrival at 12 s, and 0.8 of it is gone 24 s later."""
    write_dicom(tmp_path / "study", titles=("Ax T1 dynamic",))
    found = osteomet("radiomics", "map", "--series", tmp_path / "study", "--still", "--out", tmp_path / "maps")
    assert found.code == 0, found.err
    facts = json.loads((tmp_path / "maps" / "maps.json").read_text())
    assert (facts["times_s"], facts["arrival_s"], facts["n_phases"]) == (list(TIMES_S), 12.0, 5)
    assert (facts["series"], facts["description"]) == ("1", "Ax T1 dynamic")
    expected = {"peak_enhancement": 1.8, "time_to_peak_s": 24.0, "wash_in_per_s": 1.8 / 24, "wash_out_per_s": -0.8 / 24}
    for name, value in expected.items():
        written = read_volume(tmp_path / "maps" / f"{name}.nii.gz", modality=Modality.MR)
        assert written.grid.same_as(GRID)
        assert written.array[10, 10, 5] == pytest.approx(value, rel=1e-5)
        assert written.array[2, 2, 5] == (12.0 if name == "time_to_peak_s" else 0.0)  # nothing enhances there


def test_times_may_be_stated_for_a_dicom_series(tmp_path: Path, osteomet: Osteomet) -> None:
    write_dicom(tmp_path / "study", titles=("Ax T1 dynamic",))
    for path in sorted((tmp_path / "study" / "1").iterdir()):
        dataset = dcmread(path)
        dataset.AcquisitionTime = "120000"
        dataset.save_as(path)
    arguments = ("radiomics", "map", "--series", tmp_path / "study", "--still", "--out", tmp_path / "maps")
    found = osteomet(*arguments)
    assert (found.code, "do not say when its phases were taken" in found.err) == (3, True)
    found = osteomet(*arguments, "--times", "0,10,20,30")
    assert (found.code, "expected --times with 5 numbers; got 4" in found.err) == (2, True)
    assert osteomet(*arguments, "--times", "0,10,20,30,50").code == 0
    written = read_volume(tmp_path / "maps" / "time_to_peak_s.nii.gz", modality=Modality.MR)
    assert written.array[10, 10, 5] == pytest.approx(20.0)


def test_a_folder_without_a_dynamic_series_is_refused(tmp_path: Path, osteomet: Osteomet) -> None:
    write_dicom(tmp_path / "study", titles=())
    found = osteomet("radiomics", "map", "--series", tmp_path / "study", "--out", tmp_path / "maps")
    assert found.code == 3
    assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("t1_ms", "0", "write t1_ms of the tissue before contrast medium, measured or from a table"),
        ("tr_ms", "-4.2", "write tr_ms as the series names it (RepetitionTime)"),
        ("flip_degree", "inf", "write flip_degree as the series names it (FlipAngle)"),
        ("relaxivity_per_mm_s", "nan", "write relaxivity_per_mm_s of the contrast medium at this field strength"),
    ],
)
def test_settings_of_the_tofts_model_that_cannot_be_meant_name_their_remedy(
    tmp_path: Path, key: str, value: str, remedy: str
) -> None:
    given = {"t1_ms": "1100", "tr_ms": "4.2", "flip_degree": "15", "relaxivity_per_mm_s": "4.5"}
    path = tmp_path / "tofts.toml"
    path.write_text("\n".join(f"{k} = {v}" for k, v in given.items()))
    assert read_tofts(path).t1_ms == 1100
    path.write_text("\n".join(f"{k} = {v}" for k, v in (given | {key: value}).items()))
    with pytest.raises(UsageError) as caught:
        read_tofts(path)
    assert caught.value.what == f"{path}: {key} cannot be meant"
    assert caught.value.expected == "a positive number"
    assert caught.value.got == f"{float(value):g}"
    assert (caught.value.remedy or "").startswith(remedy)
