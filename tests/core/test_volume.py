from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.errors import FormatError, GeometryError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume, present_labels

GRID = Grid.from_spacing((2, 3, 4), (1.0, 1.0, 2.0))


def test_a_volume_keeps_its_type_and_memory() -> None:
    for dtype in (np.int16, np.float32):
        array = np.ones(GRID.shape, dtype=dtype)
        volume = Volume(array, GRID, Modality.CT, Unit.HU)
        assert volume.array.dtype == dtype
        assert np.shares_memory(volume.array, array)


def test_arrays_are_read_only() -> None:
    volume = Volume(np.zeros(GRID.shape, dtype=np.int16), GRID, Modality.CT, Unit.HU)
    labels = LabelMap(np.zeros(GRID.shape, dtype=np.uint8), GRID, {})
    for array in (volume.array, labels.array):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0, 0] = 1


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.uint16, np.bool_])
def test_other_types_are_refused(dtype: type) -> None:
    with pytest.raises(FormatError, match=f"holds int16 or float32; got {np.dtype(dtype)}"):
        Volume(np.zeros(GRID.shape, dtype=dtype), GRID, Modality.CT, Unit.HU)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused_and_counted(bad: float) -> None:
    array = np.zeros(GRID.shape, dtype=np.float32)
    array[0, 1, :2] = bad
    with pytest.raises(FormatError, match=r"not numbers.*got 2 of 24 voxels; remedy"):
        Volume(array, GRID, Modality.MR, Unit.ARBITRARY)


def test_array_and_grid_must_agree() -> None:
    with pytest.raises(GeometryError, match=r"differ in shape; got \(2, 3, 5\) against \(2, 3, 4\)"):
        Volume(np.zeros((2, 3, 5), dtype=np.int16), GRID, Modality.CT, Unit.HU)
    with pytest.raises(GeometryError, match="differ in shape"):
        LabelMap(np.zeros((2, 3, 5), dtype=np.uint8), GRID, {})


def test_with_array_keeps_place_and_meaning() -> None:
    volume = Volume(np.zeros(GRID.shape, dtype=np.int16), GRID, Modality.MR, Unit.ARBITRARY)
    other = volume.with_array(np.ones(GRID.shape, dtype=np.float32))
    assert other.grid is GRID
    assert (other.modality, other.unit) == (Modality.MR, Unit.ARBITRARY)
    assert other.array.sum() == 24
    with pytest.raises(GeometryError, match="differ in shape"):
        volume.with_array(np.ones((1, 1, 1), dtype=np.float32))


def test_labels_by_name() -> None:
    array = np.zeros(GRID.shape, dtype=np.uint8)
    array[0, 0] = 26
    array[1, 1, 1] = 5
    labels = LabelMap(array, GRID, {"sacrum": 26, "C5": 5, "L1": 20})
    assert labels.present() == {"C5": 5, "sacrum": 26}
    assert list(labels.present()) == ["C5", "sacrum"]
    assert labels.mask("sacrum").sum() == 4
    assert labels.mask("L1").sum() == 0
    with pytest.raises(KeyError):
        labels.mask("L2")


def test_names_cannot_be_changed_from_outside() -> None:
    names = {"sacrum": 1}
    labels = LabelMap(np.zeros(GRID.shape, dtype=np.uint8), GRID, names)
    names["L1"] = 2
    assert dict(labels.labels) == {"sacrum": 1}


def test_an_empty_label_map_has_nothing_present() -> None:
    assert LabelMap(np.zeros(GRID.shape, dtype=np.uint16), GRID, {"L1": 20}).present() == {}


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.bool_])
def test_signed_labels_are_refused(dtype: type) -> None:
    with pytest.raises(FormatError, match="unsigned integers"):
        LabelMap(np.zeros(GRID.shape, dtype=dtype), GRID, {})


@pytest.mark.parametrize("names", [{"a": 0}, {"a": -1}, {"a": 1, "b": 1}])
def test_labels_that_cannot_be_told_apart_are_refused(names: dict[str, int]) -> None:
    with pytest.raises(FormatError, match="positive and stand once each"):
        LabelMap(np.zeros(GRID.shape, dtype=np.uint8), GRID, names)


def test_a_value_without_a_name_is_refused() -> None:
    array = np.full(GRID.shape, 7, dtype=np.uint8)
    with pytest.raises(FormatError, match=r"no name; got \[7\] against names \{'L1': 20\}"):
        LabelMap(array, GRID, {"L1": 20})


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_present_labels_as_unique_says(dtype: type, order: Literal["C", "F"]) -> None:
    values = np.random.default_rng(3).choice([0, 3, 200, 255], size=(5, 6, 7))
    array: NDArray[Any] = np.array(values, dtype=dtype, order=order)
    assert present_labels(array[1:]) == [3, 200, 255]
    assert present_labels(np.zeros((2, 2, 2), dtype=dtype)) == []
