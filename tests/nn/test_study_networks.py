"""Networks of the studies: shapes, weights counted by hand, gradients everywhere, and what they commute with."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from osteomet.nn.nearest_unet import NearestUNet
from osteomet.nn.residual_attention_unet import AttentionGate, ResidualAttentionUNet, ResidualBlock

SIDES = {2: (16, 8), 3: (8, 16, 8)}


def n_weights(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("n_dims", [2, 3])
def test_nearest_unet_keeps_sides_and_has_the_weights_of_its_design(n_dims: int) -> None:
    network = NearestUNet(n_dims, 2, 3, (8, 16))
    assert network(torch.zeros(2, 2, *SIDES[n_dims])).shape == (2, 3, *SIDES[n_dims])
    k = 3**n_dims
    norms = 2 * (2 * 8 + 2 * 16 + 2 * 8)
    blocks = k * (2 * 8 + 8 * 8) + k * (8 * 16 + 16 * 16) + k * (16 * 8 + 8 * 8)
    assert n_weights(network) == blocks + norms + (k * 16 * 8 + 8) + (8 * 3 + 3)


@pytest.mark.parametrize("n_dims", [2, 3])
def test_deep_logits_halve_while_training_alone(n_dims: int) -> None:
    network = NearestUNet(n_dims, 1, 2, (8, 8, 8), deep=True)
    image = torch.zeros(1, 1, *SIDES[n_dims])
    fine, coarse = network(image)
    assert fine.shape[2:] == SIDES[n_dims]
    assert coarse.shape[2:] == tuple(n // 2 for n in SIDES[n_dims])
    assert network.eval()(image).shape[2:] == SIDES[n_dims]


def test_a_shift_by_a_multiple_of_the_coarsest_voxel_shifts_the_logits() -> None:
    """Circular shifts of a blob far from every border; normalisation sees the same values."""
    torch.manual_seed(0)
    for network in (NearestUNet(2, 1, 2, (8, 16)).eval(), ResidualAttentionUNet(1, 2, (8, 16)).eval()):
        image = torch.zeros(1, 1, 64, 64)
        image[0, 0, 30:33, 31:36] = torch.rand(3, 5)
        moved = network(image.roll((2, -4), (2, 3)))
        torch.testing.assert_close(moved[..., 16:48, 16:48], network(image).roll((2, -4), (2, 3))[..., 16:48, 16:48])


def test_residual_attention_unet_is_that_of_the_paper() -> None:
    """512² in; 16 channels first; 32² at the bottom; weights of a block and a gate counted by hand."""
    network = ResidualAttentionUNet().eval()
    bottom: list[torch.Size] = []
    network.encoders[-1].register_forward_hook(lambda _m, _i, out: bottom.append(out.shape))
    first = network.encoders[0]
    assert isinstance(first, ResidualBlock)
    assert first.shortcut.out_channels == 16
    with torch.no_grad():
        assert network(torch.zeros(1, 1, 64, 64)).shape == (1, 2, 64, 64)
    assert bottom[0] == (1, 256, 64 * 32 // 512, 64 * 32 // 512)

    def block(a: int, b: int) -> int:
        return 9 * a * b + 9 * b * b + 4 * b + a * b + b

    def gate(x: int, g: int) -> int:
        return x * x // 2 + x // 2 + g * x // 2 + x // 2 + x // 2 + 1

    widths = [1, 16, 32, 64, 128, 256]
    expected = sum(block(a, b) for a, b in pairwise(widths))
    expected += sum(gate(x, 2 * x) + block(3 * x, x) for x in widths[1:-1]) + 16 * 2 + 2
    assert n_weights(network) == expected


def test_a_closed_gate_lets_nothing_through() -> None:
    gate = AttentionGate(4, 8)
    x, g = torch.rand(1, 4, 3, 3), torch.rand(1, 8, 3, 3)
    nn.init.zeros_(gate.weight.weight)
    assert gate.weight.bias is not None
    nn.init.constant_(gate.weight.bias, -100.0)
    assert float(gate(x, g).detach().abs().max()) < 1e-30
    nn.init.zeros_(gate.weight.bias)
    torch.testing.assert_close(gate(x, g), x / 2)


@pytest.mark.parametrize("network", [NearestUNet(3, 1, 2, (8, 16)), ResidualAttentionUNet(1, 2, (8, 16))], ids=str)
def test_every_weight_gets_a_gradient(network: nn.Module) -> None:
    n_dims = 3 if isinstance(network, NearestUNet) else 2
    torch.manual_seed(1)
    network(torch.rand(2, 1, *[8] * n_dims)).square().mean().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or float(p.grad.abs().sum()) == 0]
    assert not silent
