from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.inference import sliding_window
from osteomet.inference.sliding_window import Field, Triple, predict_blended, window_starts

OUTSIDE = -9.0
SHAPES = [(40, 23, 17), (16, 31, 44), (20, 50, 20), (5, 6, 7), (1, 1, 1), (8, 6, 10), (9, 40, 3)]
PATCH = (8, 6, 10)


class FakeEngine:
    """An engine made of a function; remembers what it saw."""

    description = "fake"

    def __init__(self, n_outputs: int, function: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        self.n_outputs = n_outputs
        self.function = function
        self.seen: list[NDArray[Any]] = []

    def predict(self, batch: NDArray[np.float32]) -> NDArray[Any]:
        self.seen.append(batch.copy())
        return np.stack([self.function(one) for one in batch]).astype(np.float32)


def constant(*values: float) -> FakeEngine:
    return FakeEngine(len(values), lambda one: np.ones_like(one[:1]) * np.reshape(values, (-1, 1, 1, 1)))


def pointwise() -> FakeEngine:
    """Two probabilities that depend on the voxel alone."""
    return FakeEngine(2, lambda one: np.stack([1 / (1 + one[0] ** 2), one[0] ** 2 / (1 + one[0] ** 2)]))


def keep(probability: NDArray[Any]) -> NDArray[Any]:
    return probability


def noise(shape: Triple, n_inputs: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(7).normal(size=(n_inputs, *shape)).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_constant_in_constant_out_exactly(shape: Triple) -> None:
    values = (0.1, 0.7, 0.2)
    found = predict_blended(constant(*values), Field(noise(shape), OUTSIDE), patch=PATCH, reduce=keep)
    for output, value in zip(found, values, strict=True):
        assert np.unique(output).tolist() == [np.float32(value)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("budget", [10**9, 10_000])
def test_whole_equals_patches(shape: Triple, budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sliding_window, "BUDGET_BYTES", budget)
    image = noise(shape)
    engine = pointwise()
    found = predict_blended(engine, Field(image, OUTSIDE), patch=PATCH, reduce=keep)
    np.testing.assert_array_equal(found, engine.function(image).astype(np.float32))
    assert all(one.shape == (1, 1, *PATCH) for one in engine.seen)


def blended_by_hand(image: NDArray[Any], patch: Triple, function: Callable[[NDArray[Any]], NDArray[Any]]) -> Any:
    """Slow and obvious: weighted sums over the whole image in double precision."""
    total, weights = np.zeros(image.shape), np.zeros(image.shape)
    gauss = [np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n / 8)) ** 2) for n in patch]
    importance = np.einsum("i,j,k->ijk", *gauss)
    for a in window_starts(image.shape[0], patch[0]):
        for b in window_starts(image.shape[1], patch[1]):
            for c in window_starts(image.shape[2], patch[2]):
                place = (slice(a, a + patch[0]), slice(b, b + patch[1]), slice(c, c + patch[2]))
                part = np.zeros(image.shape)
                part[place] = importance * function(image[place])
                total += part
                weights[place] += importance
    return total / weights


@pytest.mark.parametrize("budget", [10**9, 20_000])
@pytest.mark.parametrize("shape", [(20, 14, 33), (33, 14, 20), (14, 33, 20)])
def test_windows_that_disagree_are_weighted(shape: Triple, budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sliding_window, "BUDGET_BYTES", budget)

    def by_place(one: NDArray[Any]) -> NDArray[Any]:
        i, j, k = np.indices(one.shape)
        return np.asarray((i + 10 * j + 100 * k + one) / 1000)

    engine = FakeEngine(2, lambda one: np.stack([by_place(one[0]), 1 - by_place(one[0])]))
    image = noise(shape)
    found = predict_blended(engine, Field(image, OUTSIDE), patch=PATCH, reduce=keep)
    np.testing.assert_allclose(found[0], blended_by_hand(image[0], PATCH, by_place), atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-6)


def test_the_budget_bounds_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = 200_000
    monkeypatch.setattr(sliding_window, "BUDGET_BYTES", budget)
    sizes = []
    original = sliding_window._Slab.__init__

    def watched(self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        sizes.append(self._mean.nbytes + self._weight.nbytes)

    monkeypatch.setattr(sliding_window._Slab, "__init__", watched)
    engine = constant(*([0.02] * 50))
    predict_blended(engine, Field(noise((60, 50, 30)), OUTSIDE), patch=PATCH, reduce=lambda p: p[0])
    assert len(sizes) > 1
    assert max(sizes) <= budget


def test_reduce_decides_what_is_kept() -> None:
    image = noise((30, 20, 12))
    engine = pointwise()
    field = Field(image, OUTSIDE)
    labels = predict_blended(engine, field, patch=PATCH, reduce=lambda p: p.argmax(axis=0).astype(np.uint8))
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, (image[0] ** 2 > 1).astype(np.uint8))
    halves = predict_blended(engine, field, patch=PATCH, reduce=lambda p: p[1:].astype(np.float16))
    assert halves.dtype == np.float16
    np.testing.assert_array_equal(halves, engine.function(image)[1:].astype(np.float32).astype(np.float16))


def test_only_windows_about_the_region_run() -> None:
    shape = (64, 18, 30)
    region = np.zeros(shape, dtype=bool)
    region[40, 9, 15] = True
    image = noise(shape)
    engine = pointwise()
    found = predict_blended(engine, Field(image, OUTSIDE, region), patch=PATCH, reduce=keep)
    assert len(engine.seen) == 1
    ran = found[1] > 0
    assert ran.sum() == np.prod(PATCH)
    expected = engine.function(image)
    np.testing.assert_array_equal(found[:, ran], expected[:, ran].astype(np.float32))
    assert (found[0, ~ran] == 1).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_voxel_of_a_region_is_seen_well_inside_a_window(shape: Triple) -> None:
    region = np.random.default_rng(1).random(shape) < 0.002
    region[shape[0] // 2, 0, -1] = True
    image = np.abs(noise(shape)) + 1
    engine = pointwise()
    found = predict_blended(engine, Field(image, OUTSIDE, region), patch=PATCH, reduce=keep)
    np.testing.assert_array_equal(found[:, region], engine.function(image)[:, region].astype(np.float32))


@pytest.mark.parametrize(("n", "side"), [(64, 8), (30, 8), (9, 8), (8, 8), (3, 8), (41, 10)])
def test_middles_tile_the_axis_a_quarter_from_the_edge(n: int, side: int) -> None:
    windows = sliding_window._starts_and_middles(n, side)
    covered = [voxel for _, middle in windows for voxel in range(n)[middle]]
    assert covered == list(range(n))
    for start, middle in windows:
        assert middle.start == 0 or middle.start - start >= side // 4
        assert middle.stop == n or start + side - middle.stop >= side // 4


def test_an_empty_region_runs_nothing() -> None:
    engine = pointwise()
    field = Field(noise((20, 20, 20)), OUTSIDE, np.zeros((20, 20, 20), dtype=bool))
    found = predict_blended(engine, field, patch=PATCH, reduce=keep, progress=lambda *_: pytest.fail("ran"))
    assert not engine.seen
    assert (found[0] == 1).all()
    assert (found[1] == 0).all()


def test_small_images_are_padded_about_the_middle() -> None:
    engine = constant(1.0)
    image = noise((4, 6, 5), n_inputs=2)
    predict_blended(engine, Field(image, OUTSIDE), patch=PATCH, reduce=keep)
    (seen,) = engine.seen
    assert seen.shape == (1, 2, *PATCH)
    np.testing.assert_array_equal(seen[0, :, 2:6, :, 2:7], image)
    assert (seen == OUTSIDE).sum() == seen.size - image.size


def test_progress_counts_to_the_end() -> None:
    calls: list[tuple[int, int]] = []
    field = Field(noise((30, 6, 10)), OUTSIDE)
    predict_blended(constant(1.0), field, patch=PATCH, reduce=keep, progress=lambda *call: calls.append(call))
    n = len(window_starts(30, 8))
    assert calls == [(done, n) for done in range(1, n + 1)]


@pytest.mark.parametrize(("n", "side"), [(100, 40), (41, 40), (1, 8), (97, 8), (64, 64)])
def test_windows_cover_the_axis_and_overlap_by_half(n: int, side: int) -> None:
    starts = window_starts(n, side)
    if n <= side:
        assert len(starts) == 1
        assert starts[0] <= 0 <= n <= starts[0] + side
    else:
        assert (starts[0], starts[-1]) == (0, n - side)
        assert max(np.diff(starts)) <= side / 2 + 1
