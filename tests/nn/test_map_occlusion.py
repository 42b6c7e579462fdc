"""Explanations of grades: what is known to decide is found, and random weights change the map."""

import numpy as np
import pytest
import torch
from torch import nn

from osteomet.core.grader import ResidualNet
from osteomet.inference.ensemble import Ensemble
from osteomet.nn.graders import build_grader, grade_maps
from osteomet.nn.map_occlusion import occlusion_map
from osteomet.nn.occlusion import likeness, randomised

PLANES, ROWS, COLUMNS = 2, 20, 12


def test_a_score_of_one_place_falls_there_and_nowhere_else() -> None:
    """The score is the value of one place of 8: squares that cover it take all of it."""

    def score(maps: np.ndarray) -> np.ndarray:
        return maps[:, 1, 10, 5].astype(np.float64)

    image = np.zeros((2 * PLANES, ROWS, COLUMNS), np.float32)
    image[1, 10, 5] = 8.0
    falls = occlusion_map(score, image, n_planes=PLANES, window=4)
    assert falls[1, 10, 5] == 8.0
    assert not falls[0].any()
    assert falls[1, 6].max() == falls[1, :, 1].max() == 0.0
    assert falls[1].max() == 8.0


def test_all_sequences_are_covered_at_once() -> None:
    image = np.ones((2 * PLANES, ROWS, COLUMNS), np.float32)
    falls = occlusion_map(lambda maps: maps.sum(axis=(1, 2, 3)).astype(float), image, n_planes=PLANES, window=4)
    np.testing.assert_allclose(falls[:, 8:12, 4:8], 2 * 16)


def spots(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright spot somewhere in the first plane of every other map."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(0, 0.3, (n, 2 * PLANES, ROWS, COLUMNS)).astype(np.float32)
    for one in maps[::2]:
        i, j = int(rng.integers(0, ROWS - 4)), int(rng.integers(0, COLUMNS - 4))
        one[0, i : i + 4, j : j + 4] += 3.0
    return maps, (np.arange(n) + 1) % 2


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(1)
    found = build_grader(
        ResidualNet("residual network", (8, 8), 0.0), n_inputs=2 * PLANES, n_outputs=2, sides=(ROWS, COLUMNS)
    )
    optimiser = torch.optim.Adam(found.parameters(), lr=1e-2)
    maps, grades = (torch.from_numpy(x) for x in spots(48, 2))
    for _ in range(40):
        optimiser.zero_grad()
        nn.functional.cross_entropy(found(maps), grades).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return found.eval()


def falls_of(network: nn.Module, image: np.ndarray) -> np.ndarray:
    ensemble = Ensemble([network]).eval()
    return occlusion_map(lambda m: grade_maps(ensemble, m, device="cpu")[:, 1], image, n_planes=PLANES, window=4)


def test_the_spot_is_what_decides(network: nn.Module) -> None:
    image = np.zeros((2 * PLANES, ROWS, COLUMNS), np.float32)
    image[0, 13:17, 3:7] = 3.0
    falls = falls_of(network, image)
    plane, row, column = np.unravel_index(int(falls.argmax()), falls.shape)
    assert plane == 0
    assert 12 <= row <= 17
    assert 2 <= column <= 7


def test_random_weights_change_the_map(network: nn.Module) -> None:
    """Asking twice gives the same map; a network of the same shape with random weights gives another one."""
    image = spots(1, 5)[0][0]
    falls = falls_of(network, image)
    assert likeness(falls, falls_of(network, image)) == pytest.approx(1.0)
    other = likeness(falls, falls_of(randomised(network, 11), image))
    assert other is None or abs(other) < 0.5
    weights = zip(network.parameters(), randomised(network, 11).parameters(), strict=True)
    assert all(bool((a != b).any()) for a, b in weights)
