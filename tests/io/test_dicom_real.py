"""Real scans beside the checkout; skipped where they are missing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK

from osteomet.core.errors import FormatError
from osteomet.core.vocabulary import SequenceRole as Role
from osteomet.io.dicom_series import find_series, read_series
from osteomet.io.study import Study, read_study

DATA = Path(__file__).parents[2].parent / "shared" / "data"
sitk: Any = SimpleITK


def scan(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"real scan {name} is not beside the checkout")
    return DATA / name


def roles(study: Study) -> list[tuple[Role, float | None]]:
    return [(series.role, series.b_value_s_per_mm2) for series in study.series]


def test_jpeg_2000_ct_whose_uids_were_emptied() -> None:
    """Twenty overlapping 3 mm slices every 2 mm, pixels compressed with JPEG 2000, all UIDs empty."""
    study = read_study([scan("ct_dicom_axial")], sequences={})
    (series,) = study.series
    assert series.volume.grid.shape == (512, 512, 20)
    assert series.volume.grid.spacing_mm == (0.9765625, 0.9765625, 2.0)
    assert series.volume.grid.origin_mm == (-249.51171875, -437.51171875, -804.5)
    assert (study.study_instance_uid, study.study_date) == (None, "2022-12-08")
    image = sitk.ReadImage(str(scan("ct_dicom_axial") / "CT.1.3.12.2.1107.5.1.4.60064.30000022120808113428000016592"))
    np.testing.assert_array_equal(series.volume.array[:, :, 0], sitk.GetArrayFromImage(image)[0].T)


def test_ct_and_mr_of_one_patient() -> None:
    study = read_study([scan("ct_mr_dicom_hip")], sequences={})
    assert {s.role: s.volume.grid.shape for s in study.series} == {Role.CT: (192, 192, 68), Role.T1: (168, 166, 62)}
    assert [facts.modality for facts in study.set_aside] == ["RTSTRUCT", "RTSTRUCT"]
    air, bone = (np.percentile(study.series[0].volume.array, q) for q in (0.1, 99.9))
    assert air < -900
    assert 700 < bone < 2000


def test_prostate_mr() -> None:
    study = read_study([scan("mr_dicom_pelvis")], sequences={})
    assert roles(study) == [
        (Role.T2, None),
        (Role.DWI, 50),
        (Role.DWI, 400),
        (Role.DWI, 800),
        (Role.ADC, None),
        (Role.DWI, 1000),
    ]
    assert study.set_aside == ()
    dwi = {s.b_value_s_per_mm2: s.volume.array.mean() for s in study.series if s.role is Role.DWI}
    assert dwi[50] > dwi[400] > dwi[800]  # signal decays with b
    first = study.series[0].volume
    folder = scan("mr_dicom_pelvis/ProstateX-0000/07-07-2011/4.000000-t2tsetra-00702")
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    assert image.GetOrigin() == pytest.approx(first.grid.origin_mm, abs=1e-4)
    np.testing.assert_allclose(np.reshape(image.GetDirection(), (3, 3)), first.grid.direction, atol=1e-6)
    np.testing.assert_array_equal(first.array, sitk.GetArrayFromImage(image).T)


def test_multi_frame_twin_of_a_classic_series() -> None:
    for name in ("24x38x3", "23x38x3"):
        (classic,) = find_series(scan(f"dicom_seg/{name}/image"))
        (multi_frame,) = find_series(scan(f"dicom_seg/{name}/multiframe"))
        first, second = read_series(classic)[0], read_series(multi_frame)[0]
        assert first.grid.same_as(second.grid)
        np.testing.assert_array_equal(first.array, second.array)


def test_a_ct_that_holds_labels_is_not_in_hu() -> None:
    with pytest.raises(FormatError, match="not HU"):
        read_study([scan("dicom_seg/24x38x3/image")], sequences={})


def test_segmentations_beside_a_ct_are_set_aside() -> None:
    headers = find_series(scan("dicom_seg"))
    assert {h.tags.modality for h in headers if not h.is_readable} == {"SEG"}
    (ct,) = [h for h in headers if h.source.endswith("ct-3slice")]
    volume, notes = read_series(ct)
    assert volume.grid.shape == (512, 512, 3)
    assert volume.array.min() == -1024
    assert notes == ("padding outside the reconstruction set to -1024 HU",)


@pytest.mark.parametrize(
    "name", ["ct_abdomen_pelvis/ct.nii.gz", "ct_lesion_patches/1.nii.gz", "ct_lesion_patches/4.nii.gz"]
)
def test_nifti_ct_is_taken_for_hu(name: str) -> None:
    (series,) = read_study([scan(name)], sequences={}).series
    assert series.role is Role.CT


def test_nifti_mr_needs_its_sequence() -> None:
    path = scan("mr_lumbar_t2/t2_lumbar.nii.gz")
    with pytest.raises(FormatError, match="not HU"):
        read_study([path], sequences={})
    (series,) = read_study([], sequences={Role.T2: path}).series
    assert (series.role, series.facts.modality) == (Role.T2, "MR")
