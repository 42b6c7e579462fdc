import numpy as np
import pytest
import torch

from osteomet.core.errors import ModelError
from osteomet.core.model import NetworkSpec
from osteomet.nn.losses import IGNORED, dice_cross_entropy
from osteomet.nn.unet import SubvoxelUNet3d, build_network

SPEC = NetworkSpec("subvoxel_unet3d", 2, 3, (8, 16))


def test_logits_have_the_shape_of_the_image() -> None:
    assert build_network(SPEC)(torch.zeros(2, 2, 8, 12, 16)).shape == (2, 3, 8, 12, 16)


def test_number_of_parameters_is_what_the_layers_add_up_to() -> None:
    # Stem with bias, convolutions without, scale and shift of each normalisation, head with bias.
    def block(before: int, after: int) -> int:
        return 27 * (before * after + after * after) + 2 * 2 * after

    expected = (64 * 2 * 8 + 8) + block(8, 8) + block(8, 16) + block(16 + 8, 8) + (8 * 8 * 3 + 3)
    assert sum(p.numel() for p in build_network(SPEC).parameters()) == expected


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    network = build_network(SPEC)
    loss = dice_cross_entropy(network(torch.randn(2, 2, 8, 8, 8)), torch.randint(0, 3, (2, 8, 8, 8)))
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in network.parameters())


def test_a_fresh_network_expects_rare_foreground() -> None:
    torch.manual_seed(0)
    network = SubvoxelUNet3d(1, 3, (8, 16)).eval()
    probability = network(torch.zeros(1, 1, 8, 8, 8)).softmax(dim=1)[0]
    assert probability[0].mean() > 0.9


def test_shift_by_the_coarsest_step_shifts_the_output() -> None:
    torch.manual_seed(0)
    network = build_network(SPEC).eval()
    # Far from the ends of a long volume, so that the normalisation sees the same values in both.
    image = torch.zeros(1, 2, 128, 8, 8)
    image[:, :, 60:64] = torch.randn(1, 2, 4, 8, 8)
    shifted = torch.roll(image, 4, dims=2)
    with torch.no_grad():
        first, second = network(image), network(shifted)
    torch.testing.assert_close(first[:, :, 48:76], second[:, :, 52:80], atol=1e-5, rtol=1e-5)


def test_unknown_networks_are_refused() -> None:
    spec = NetworkSpec("transformer", 1, 2, (4,))  # type: ignore[arg-type]
    with pytest.raises(
        ModelError, match="network that this version does not know; expected subvoxel_unet3d; got transformer"
    ):
        build_network(spec)


def test_loss_by_hand() -> None:
    # Four voxels, two classes. p(class 1) = 0.9, 0.9, 0.1, 0.1 with target 1, 1, 0, 0.
    p = torch.tensor([0.9, 0.9, 0.1, 0.1])
    logits = torch.stack([(1 - p).log(), p.log()]).reshape(1, 2, 4, 1, 1)
    target = torch.tensor([1, 1, 0, 0]).reshape(1, 4, 1, 1)
    entropy = -torch.log(torch.tensor(0.9))
    dice = (2 * 1.8 + 1) / (2.0 + 2 + 1)
    assert float(dice_cross_entropy(logits, target)) == pytest.approx(float(entropy) + 1 - dice, abs=1e-6)


def test_ignored_voxels_cost_nothing() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 3, 4, 2, 1)
    target = torch.randint(0, 3, (1, 4, 2, 1))
    whole = dice_cross_entropy(logits[:, :, :3], target[:, :3], foreground_weight=4.0)
    target[:, 3] = IGNORED
    assert float(dice_cross_entropy(logits, target, foreground_weight=4.0)) == pytest.approx(float(whole), abs=1e-6)
    assert float(dice_cross_entropy(logits, torch.full_like(target, IGNORED))) == 0.0


def test_loss_without_foreground_is_the_cross_entropy_alone() -> None:
    logits = torch.zeros(1, 2, 4, 1, 1)
    assert float(dice_cross_entropy(logits, torch.zeros(1, 4, 1, 1, dtype=torch.long))) == pytest.approx(
        0.693147, abs=1e-5
    )


def test_without_dice_the_loss_of_a_classifier_is_its_cross_entropy() -> None:
    logits, target = torch.tensor([[2.0, 0.0], [0.0, 0.0], [-1.0, 1.0]]), torch.tensor([0, 1, 1])
    expected = (np.log(1 + np.exp(-2)) + np.log(2) + np.log(1 + np.exp(-2))) / 3
    assert float(dice_cross_entropy(logits, target, dice_weight=0.0)) == pytest.approx(expected, abs=1e-6)
