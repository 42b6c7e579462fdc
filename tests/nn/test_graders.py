"""Graders: shapes and parameters counted by hand, gradients everywhere, and a tiny set learnt by heart."""

import numpy as np
import pytest
import torch
from torch import nn

from osteomet.core.errors import UsageError
from osteomet.core.grader import ResidualNet, SigmoidCnn
from osteomet.inference.ensemble import Ensemble
from osteomet.nn.graded_cnn import GradedCnn
from osteomet.nn.graders import build_grader, grade_maps

PUBLISHED = SigmoidCnn("sigmoid CNN", maps=(3, 3), kernel=5, pool=2)
RESIDUAL = ResidualNet("residual network", channels=(8, 16), dropout=0.2)
SPECS = [PUBLISHED, RESIDUAL]


def build(spec: SigmoidCnn | ResidualNet) -> nn.Module:
    torch.manual_seed(3)
    return build_grader(spec, n_inputs=2, n_outputs=3, sides=(32, 24))


def test_c1_s2_c3_s4_has_the_parameters_of_a_hand_count() -> None:
    """C1 3·(2·25) + 3, C3 3·(3·25) + 3, and 3 outputs of 3 maps of 5 × 3: 153 + 228 + 138."""
    assert sum(p.numel() for p in build(PUBLISHED).parameters()) == 153 + 228 + 138


def test_the_residual_network_has_the_parameters_of_a_hand_count() -> None:
    """Stem 2·8·9; two blocks 8 → 8 and 8 → 16; the last norm 32; 3 outputs of 2 · 16 features."""
    first = 2 * 8 + 8 * 8 * 9 + 2 * 8 + 8 * 8 * 9
    second = 2 * 8 + 8 * 16 * 9 + 2 * 16 + 16 * 16 * 9 + 8 * 16
    assert sum(p.numel() for p in build(RESIDUAL).parameters()) == 144 + first + second + 32 + (3 * 32 + 3)


def test_each_turn_is_convolution_sigmoid_and_mean() -> None:
    """One map, one weight: a picture of 4 × 4 with weight w becomes the means of sigmoid(w x) over 2 × 2."""
    network = GradedCnn(SigmoidCnn("sigmoid CNN", (1,), kernel=1, pool=2), 1, 2, (4, 4))
    weights = {"turns.0.weight": torch.full((1, 1, 1, 1), 2.0), "head.weight": torch.eye(2, 4)}
    network.load_state_dict(network.state_dict() | weights)
    picture = torch.zeros(1, 1, 4, 4)
    picture[0, 0, 0, :2] = 1.0
    expected = (1 / (1 + np.exp(-2.0)) + 0.5) / 2
    np.testing.assert_allclose(network(picture)[0].detach().numpy(), [expected, 0.5], rtol=1e-6)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_every_weight_gets_a_gradient(spec: SigmoidCnn | ResidualNet) -> None:
    network = build(spec)
    logits = network(torch.randn(4, 2, 32, 24))
    assert logits.shape == (4, 3)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 1])).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_a_tiny_set_is_learnt_by_heart(spec: SigmoidCnn | ResidualNet) -> None:
    network, maps, grades = build(spec), torch.randn(6, 2, 32, 24), torch.tensor([0, 1, 2, 0, 1, 2])
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(80):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(maps), grades).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert (network.eval()(maps).argmax(dim=1) == grades).all()


def test_probabilities_sum_to_one_and_a_batch_equals_its_elements() -> None:
    ensemble = Ensemble([build(PUBLISHED), build(RESIDUAL)]).eval()
    maps = np.random.default_rng(1).normal(size=(3, 2, 32, 24)).astype(np.float32)
    together = grade_maps(ensemble, maps, device="cpu")
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-12)
    alone = np.concatenate([grade_maps(ensemble, one[None], device="cpu") for one in maps])
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize(("maps", "sides"), [((3, 3, 3), (32, 24)), ((), (32, 24)), ((3,), (4, 40))])
def test_turns_that_leave_nothing_are_refused(maps: tuple[int, ...], sides: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="leaves nothing of the map"):
        GradedCnn(SigmoidCnn("sigmoid CNN", maps, kernel=5, pool=2), 2, 3, sides)
