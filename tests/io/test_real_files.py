"""Real files, where they lie beside the checkout, against the libraries of their formats."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from osteomet.core.volume import Modality
from osteomet.io.formats import read_labels, read_volume, write_labels, write_volume

NIB: Any = nib
RAS_TO_LPS = np.diag([-1, -1, 1, 1])
IMAGES = (
    "vertebra_crops/sample_ct/sub-ct_label-22_ct.nii.gz",
    "vertebra_crops/sample_mri/sub-mri_label-6_T2w.nii.gz",
    "ct_lesion_patches/1.nii.gz",
    "mr_lumbar_t2/t2_lumbar.nii.gz",
    "radiomics/ibsi_1_digital_phantom/nifti/image/phantom.nii.gz",
)
MAPS = (
    "vertebra_crops/sample_ct/sub-ct_seg-vert_label-22_msk.nii.gz",
    "vertebra_crops/sample_mri/sub-mri_seg-subreg_label-6_msk.nii.gz",
    "instance_pairs/semantic/ref.nii.gz",
    "instance_pairs/unmatched_instance/pred.nii.gz",
    "anatomy/sub-verse004_seg-vert_msk.nii.gz",
)


def existing(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        pytest.skip(f"no {name} in {folder}")
    return folder / name


@pytest.mark.parametrize("name", IMAGES)
def test_images_as_nibabel_reads_them(tmp_path: Path, real_data: Path, name: str) -> None:
    path = existing(real_data, name)
    volume = read_volume(path, modality=Modality.CT)
    oracle = NIB.load(path)
    np.testing.assert_array_equal(volume.grid.affine, RAS_TO_LPS @ oracle.affine)
    np.testing.assert_array_equal(volume.array, np.asarray(oracle.dataobj))
    write_volume(volume, tmp_path / "x.nii.gz")
    np.testing.assert_array_equal(NIB.load(tmp_path / "x.nii.gz").affine, oracle.affine)


@pytest.mark.parametrize("name", IMAGES)
def test_images_lie_where_simpleitk_puts_them(real_data: Path, name: str) -> None:
    path = existing(real_data, name)
    grid = read_volume(path, modality=Modality.MR).grid
    image: Any = sitk.ReadImage(str(path))
    for corner in ((0, 0, 0), tuple(n - 1 for n in grid.shape)):
        assert image.TransformIndexToPhysicalPoint(corner) == pytest.approx(tuple(grid.to_xyz_mm(corner)), abs=0.01)


@pytest.mark.parametrize("name", MAPS)
def test_label_maps_as_nibabel_reads_them(real_data: Path, name: str) -> None:
    path = existing(real_data, name)
    labels = read_labels(path)
    oracle = np.asarray(NIB.load(path).dataobj)
    np.testing.assert_array_equal(labels.array, oracle)
    assert sorted(labels.labels.values()) == [int(v) for v in np.unique(oracle) if v]


def test_segmentations_in_nrrd(tmp_path: Path, real_data: Path) -> None:
    folder = real_data / "dicom_seg"
    paths = sorted(folder.glob("*.nrrd"))
    if not paths:
        pytest.skip(f"no NRRD file in {folder}")
    for path in paths:
        labels = read_labels(path)
        image: Any = sitk.ReadImage(str(path))
        np.testing.assert_array_equal(labels.array, sitk.GetArrayFromImage(image).T)
        np.testing.assert_allclose(labels.grid.origin_mm, image.GetOrigin())
        write_labels(labels, tmp_path / "x.seg.nrrd")
        back = read_labels(tmp_path / "x.seg.nrrd")
        assert back.present() == labels.present()
        np.testing.assert_array_equal(back.array, labels.array)
