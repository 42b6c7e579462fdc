"""The steps around a network of nnU-Net, and that all of them together give what nnU-Net gives."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.conftest import reordered, stored

from osteomet.core.errors import GeometryError, InputError
from osteomet.core.grid import Grid
from osteomet.core.model import (
    FirstStage,
    InputChannel,
    IntensityStatistics,
    ModelDescription,
    NnunetPart,
    PlannedUNetSpec,
    ResampleRule,
)
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.inference.engine import MirroredEngine, load_nnunet_engines
from osteomet.inference.engine_torch import TorchEngine
from osteomet.inference.ensemble import build_ensemble
from osteomet.inference.nnunet.predict import segment_case, segment_with_stages, window_weights
from osteomet.inference.nnunet.prepare import Turn, normalise, prepare_case
from osteomet.inference.nnunet.resampling import coarse_axis, resample, resample_labels
from osteomet.io.formats import read_volume
from osteomet.io.model_package import ModelPackage
from osteomet.io.nnunet_folder import read_trained_folder
from osteomet.io.nnunet_plans import describe_part
from osteomet.nn.checkpoint import read_checkpoint

DATA = Path(__file__).parents[1] / "data/nnunet"
SOURCES = {"ct": DATA / "Dataset501_SyntheticCT.zip", "mr": DATA / "nnUNetTrainer__nnUNetPlans__2d"}
LINEAR = ResampleRule(1, None)
PART = NnunetPart(
    configuration="3d_fullres",
    network=PlannedUNetSpec(
        "plain_conv_unet", 1, 2, (4, 4), ((3,) * 3,) * 2, ((1,) * 3, (2,) * 3), (1, 1), (1,), True, 1e-5, 0.01
    ),
    channels=(InputChannel("MR", "No", False, None),),
    orientation="stored",
    axes=(0, 1, 2),
    spacing_mm=(2.0, 1.0, 1.0),
    patch=(4, 4, 4),
    image_rule=LINEAR,
    logit_rule=LINEAR,
    mirror_axes=(),
    outputs=("background", "bone"),
    values=(0, 1),
    exclusive=True,
    weights=("a",),
)


@dataclass(frozen=True)
class Says:
    """An engine whose first logit is 0, and whose others are the image plus offsets."""

    offsets: tuple[float, ...]
    description: str = "test"

    @property
    def n_outputs(self) -> int:
        return 1 + len(self.offsets)

    def predict(self, batch: NDArray[np.float32]) -> NDArray[Any]:
        return np.concatenate([0 * batch, *(batch + offset for offset in self.offsets)], axis=1)


def volume(array: NDArray[Any], spacing: tuple[float, float, float] = (1.0, 1.0, 2.0)) -> Volume:
    return Volume(array.astype(np.float32), Grid.from_spacing(array.shape, spacing), Modality.MR, Unit.ARBITRARY)


def loaded(source: Path) -> ModelPackage:
    trained = read_trained_folder(source, configuration=None)
    checkpoints = {
        file: read_checkpoint(trained.files.read([file])[file], file) for file in trained.checkpoints.values()
    }
    first = next(iter(checkpoints.values()))
    part = describe_part(trained.plans, trained.dataset, first.configuration, first.mirror_axes)
    part = replace(part, weights=tuple(checkpoints))
    weights = {file: c.tensors(len(part.network.features)) for file, c in checkpoints.items()}
    files = {file: str(source) + file for file in checkpoints}
    description = ModelDescription(
        "toy", "1", "test", Modality.MR, (), "", "", "", "", "", {}, files=files, nnunet=part
    )
    return ModelPackage(description, weights, "", "")


def images(name: str) -> list[Volume]:
    return [read_volume(path, modality=Modality.MR) for path in sorted((DATA / "images").glob(f"{name}_*"))]


def agreement(found: NDArray[Any], expected: NDArray[Any]) -> float:
    return float((found == expected).mean())


@pytest.mark.parametrize("name", ["ct", "mr"])
def test_labels_are_those_of_nnunet_itself(name: str, cache_dir: Path) -> None:
    package = loaded(SOURCES[name])
    assert package.description.nnunet is not None
    (engine,) = load_nnunet_engines(package, device="cpu", cache_dir=cache_dir)
    labels = segment_case(engine, package.description.nnunet, images(name))
    file = stored(DATA / "expected" / f"{name}.nii.gz")
    expected = np.asarray(file.dataobj)
    assert labels.labels == {"bone": 1, "lesion": 2}
    assert np.bincount(expected.ravel()).min() > 50
    assert agreement(labels.array, expected) >= 0.999
    for label in (1, 2):
        both = np.sum((labels.array == label) & (expected == label))
        assert 2 * both / (np.sum(labels.array == label) + np.sum(expected == label)) >= 0.99
    np.testing.assert_allclose(labels.grid.affine, np.diag([-1, -1, 1, 1]) @ file.affine, atol=1e-5)


@pytest.mark.parametrize("name", ["ct", "mr"])
def test_torch_agrees_with_openvino(name: str, cache_dir: Path) -> None:
    package = loaded(SOURCES[name])
    part = package.description.nnunet
    assert part is not None
    torch = TorchEngine(build_ensemble(package, part), n_outputs=3, device="cpu", exact=True)
    assert torch.description.endswith("CPU fp32")
    batch = np.random.default_rng(2).normal(size=(1, part.network.n_inputs, *part.patch)).astype(np.float32)
    (engine,) = load_nnunet_engines(package, device="cpu", cache_dir=cache_dir)
    assert engine.description.endswith(f"CPU f32, {2 ** len(part.mirror_axes)} mirror images")
    np.testing.assert_allclose(MirroredEngine(torch, part.mirror_axes).predict(batch), engine.predict(batch), atol=1e-3)


def test_folds_are_averaged_as_logits() -> None:
    package = loaded(SOURCES["mr"])
    part = package.description.nnunet
    assert part is not None
    batch = np.random.default_rng(2).normal(size=(1, 2, *part.patch)).astype(np.float32)
    alone = [
        TorchEngine(build_ensemble(package, replace(part, weights=(file,))), n_outputs=3, device="cpu", exact=True)
        for file in part.weights
    ]
    both = TorchEngine(build_ensemble(package, part), n_outputs=3, device="cpu", exact=True)
    np.testing.assert_allclose(both.predict(batch), (alone[0].predict(batch) + alone[1].predict(batch)) / 2, atol=1e-5)


def test_mirror_images_are_turned_back() -> None:
    ramp = np.arange(8, dtype=np.float32).reshape(1, 1, 2, 2, 2)

    class Corner(Says):
        def predict(self, batch: NDArray[np.float32]) -> NDArray[Any]:
            """Keep the first voxel."""
            out = np.zeros_like(batch)
            out[..., 0, 0, 0] = batch[..., 0, 0, 0]
            return out

    # Mirrored along the last two axes, each of four voxels is first once: a quarter of each is left.
    found = MirroredEngine(Corner(()), (1, 2)).predict(ramp)
    assert found[0, 0].tolist() == [[[0.0, 0.25], [0.5, 0.75]], [[0.0, 0.0], [0.0, 0.0]]]


def test_weights_of_a_window() -> None:
    weights = window_weights((1, 16, 32))
    assert weights[0, 8, 16] == weights.max()
    assert weights.max() == 10
    assert weights.min() > 0
    # One standard deviation (an eighth of the side) from the middle: exp(-1/2).
    assert weights[0, 10, 16] == pytest.approx(10 * np.exp(-0.5), rel=2e-3)


@pytest.mark.parametrize(
    ("old", "new", "separate", "axis"),
    [
        ((3.0, 1.0, 1.0), (1.0, 1.0, 1.0), None, None),
        ((3.1, 1.0, 1.0), (1.0, 1.0, 1.0), None, 0),
        ((1.0, 1.0, 1.0), (1.0, 1.0, 4.0), None, 2),
        ((0.2, 1.0, 1.0), (1.0, 1.0, 1.0), None, None),
        ((5.0, 1.0, 1.0), (1.0, 1.0, 1.0), False, None),
        ((1.0, 2.0, 1.0), (1.0, 1.0, 1.0), True, 1),
    ],
)
def test_axis_that_is_treated_apart(old: Any, new: Any, separate: bool | None, axis: int | None) -> None:
    assert coarse_axis(old, new, separate) == axis


def test_resampling_takes_the_nearest_slice_along_a_coarse_axis() -> None:
    array = np.array([0.0, 10.0, 30.0])[:, None, None] + np.zeros((3, 4, 4))
    found = resample(array, (6, 8, 4), (8.0, 2.0, 1.0), (4.0, 1.0, 1.0), LINEAR)
    assert found[:, 3, 2].tolist() == [0, 0, 10, 10, 30, 30]
    mixed = resample(array, (6, 4, 4), (2.0, 1.0, 1.0), (1.0, 1.0, 1.0), LINEAR)
    # Centres of the new slices lie at -1/4, 1/4, 3/4, … of the old ones.
    np.testing.assert_allclose(mixed[:, 0, 0], [0, 2.5, 7.5, 15, 25, 30])


def test_resampling_keeps_a_constant_and_the_same_grid() -> None:
    array = np.full((3, 5, 4), 7.0, dtype=np.float32)
    assert resample(array, (3, 5, 4), (1.0,) * 3, (1.0,) * 3, ResampleRule(3, None)) is array
    found = resample(array, (5, 4, 9), (1.0,) * 3, (0.6, 1.2, 0.5), ResampleRule(3, None))
    np.testing.assert_allclose(found, 7, atol=1e-5)


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        (InputChannel("CT", "CT", False, IntensityStatistics(-1.0, 5.0, 1.0, 2.0)), [-1.0, -0.5, 0.5, 2.0]),
        # Mean 2 and variance 38/4 of all; mean 3 and variance 26/3 of those inside.
        (InputChannel("T1", "ZScore", False, None), [-3 / 9.5**0.5, -2 / 9.5**0.5, 0.0, 5 / 9.5**0.5]),
        (InputChannel("T1", "ZScore", True, None), [-1.0, *(v / (26 / 3) ** 0.5 for v in (-3, -1, 4))]),
        (InputChannel("T1", "RescaleTo01", False, None), [0.0, 0.125, 0.375, 1.0]),
        (InputChannel("T1", "No", False, None), [-1.0, 0.0, 2.0, 7.0]),
    ],
)
def test_normalisation(channel: InputChannel, expected: list[float]) -> None:
    values = np.array([-1.0, 0.0, 2.0, 7.0], dtype=np.float32)
    found = normalise(values, np.array([False, True, True, True]), channel)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_turns_of_arrays() -> None:
    axes = np.array([[0, -1, 0], [0, 0, 1], [1, 0, 0]], dtype=float)  # i to the head, j to the right, k to the back
    grid = Grid.from_spacing((2, 3, 4), (1.0, 2.0, 3.0), direction=axes)
    array = np.arange(24).reshape(2, 3, 4)
    plain = Turn.between(grid, "stored", (0, 1, 2))
    assert plain.there(array).shape == (4, 3, 2)
    # Right is j, front is -k, head is i; the network sees (head, front, right).
    turned = Turn.between(grid, "RAS", (0, 1, 2)).there(array)
    assert turned.shape == (2, 4, 3)
    np.testing.assert_array_equal(turned, array.transpose(0, 2, 1)[:, ::-1])
    for orientation in ("stored", "RAS"):
        for order in ((0, 1, 2), (2, 0, 1), (1, 0, 2)):
            turn = Turn.between(grid, orientation, order)
            np.testing.assert_array_equal(turn.back(turn.there(array)), array)


def test_preparing_crops_then_normalises_then_resamples() -> None:
    array = np.zeros((6, 6, 8))
    array[1:5, 2:6, 2:6] = 5.0
    array[2, 3, 3] = 0.0  # a hole is inside
    case = prepare_case([volume(array)], replace(PART, spacing_mm=(4.0, 1.0, 1.0)))
    assert case.shape == (8, 6, 6)
    assert case.box == (slice(2, 6), slice(2, 6), slice(1, 5))
    assert case.image.shape == (1, 2, 4, 4)
    assert case.source_mm == (2.0, 1.0, 1.0)
    np.testing.assert_allclose(case.image[0, 1], 5.0)


def test_an_image_of_zeros_is_kept_whole_and_is_background() -> None:
    labels = segment_case(Says((-1.0,)), PART, [volume(np.zeros((5, 4, 3)))])
    assert labels.array.shape == (5, 4, 3)
    assert not labels.array.any()


def test_the_highest_logit_wins_on_the_grid_of_the_image() -> None:
    array = np.zeros((8, 6, 5))
    array[2:7, 1:5, 1:4] = 3.0
    array[3:6, 2:4, 2] = 8.0
    part = replace(PART, outputs=("background", "bone", "lesion"), values=(0, 1, 2))

    class Steps(Says):
        def predict(self, batch: NDArray[np.float32]) -> NDArray[Any]:
            return np.concatenate([0 * batch, 0 * batch + 1, batch - 4], axis=1)

    labels = segment_case(Steps((0.0, 0.0)), part, [volume(array)])
    # All that is cropped is bone (1 against 0), and lesion where 8 - 4 beats it.
    np.testing.assert_array_equal(labels.array, np.where(array == 8, 2, np.where(array > 0, 1, 0)))


def test_the_second_stage_of_a_cascade_sees_what_the_first_said() -> None:
    array = np.ones((8, 6, 4))
    array[2:6, 2:4] = 3.0
    array[4:6, 2:4] = 9.0
    three = replace(PART, outputs=("background", "bone", "lesion"), values=(0, 1, 2))
    # The first stage sees thick slices, the second thin ones: a label is carried to both thin slices of a thick one.
    second = replace(three, spacing_mm=(1.0, 1.0, 1.0), first=FirstStage(three, ResampleRule(1, None)))

    class First(Says):
        def predict(self, batch: NDArray[np.float32]) -> NDArray[Any]:
            return np.concatenate([0 * batch, batch - 2, 2 * batch - 10], axis=1)

    class Second(Says):
        def predict(self, batch: NDArray[np.float32]) -> NDArray[Any]:
            image, bone, lesion = batch[:, :1], batch[:, 1:2], batch[:, 2:]
            assert set(np.unique(batch[:, 1:])) <= {0.0, 1.0}
            return np.concatenate([0 * image + 0.5, lesion, bone], axis=1)  # bone is called lesion, lesion bone

    labels = segment_with_stages([First((0.0, 0.0)), Second((0.0, 0.0))], second, [volume(array)])
    np.testing.assert_array_equal(labels.array, np.where(array == 9, 1, np.where(array == 3, 2, 0)))


def test_labels_are_resampled_one_by_one() -> None:
    labels = np.zeros((2, 2, 6), dtype=np.uint8)
    labels[..., 2:4], labels[..., 4:] = 1, 3
    spacing, rule = (1.0, 1.0, 1.0), ResampleRule(1, None)
    halved = resample_labels(labels, (2, 2, 3), spacing, (1.0, 1.0, 2.0), rule, n_labels=4)
    assert halved[0, 0].tolist() == [0, 1, 3]  # never 2, which lies between 1 and 3
    doubled = resample_labels(labels, (2, 2, 12), spacing, (1.0, 1.0, 0.5), rule, n_labels=4)
    np.testing.assert_array_equal(doubled, np.repeat(labels, 2, axis=2))
    np.testing.assert_array_equal(resample_labels(labels, (2, 2, 6), spacing, spacing, rule, n_labels=4), labels)


def test_regions_overwrite_each_other_in_order() -> None:
    array = np.ones((4, 4, 4))
    array[0], array[1] = 3.0, 5.0
    part = replace(PART, outputs=("whole", "core", "rim"), values=(3, 1, 2), exclusive=False)

    class Steps(Says):
        def predict(self, batch: NDArray[np.float32]) -> NDArray[Any]:
            return np.concatenate([batch, batch - 2, batch - 4], axis=1)

    labels = segment_case(Steps((0.0, 0.0)), part, [volume(array)])
    assert labels.labels == {"whole": 3, "core": 1, "rim": 2}
    assert [int(labels.array[i, 0, 0]) for i in range(4)] == [1, 2, 3, 3]


def test_orientation_makes_no_difference_where_images_are_turned_first() -> None:
    rng = np.random.default_rng(4)
    image = volume(rng.normal(size=(6, 5, 4)), (1.0, 1.0, 2.0))
    part = replace(PART, orientation="RAS")
    labels = segment_case(Says((0.0,)), part, [image])
    other = segment_case(Says((0.0,)), part, [reordered(image, order=(2, 0, 1), flips=(1,))])
    np.testing.assert_array_equal(other.array, np.flip(labels.array.transpose(2, 0, 1), 1))


def test_channels_that_do_not_fit() -> None:
    part = replace(PART, channels=(InputChannel("T1", "No", False, None), InputChannel("T2", "No", False, None)))
    image = volume(np.ones((4, 4, 4)))
    with pytest.raises(InputError, match=r"one image for each channel; expected T1, T2; got 1 images"):
        segment_case(Says((0.0,)), part, [image])
    with pytest.raises(GeometryError, match="channel T1 and channel T2 differ in geometry"):
        segment_case(Says((0.0,)), part, [image, volume(np.ones((4, 4, 5)))])
