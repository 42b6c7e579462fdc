"""Inception-ResNet-v2 of cubes: shapes, parameters counted by hand, and that all of it learns."""

from typing import Any

import pytest
import torch

from osteomet.core.errors import UsageError
from osteomet.nn.inception_resnet import ChannelAttention, InceptionResNet3d, InceptionSettings

SMALL = InceptionSettings(2, 3, width=0.125, blocks=(1, 2, 1))


def n_parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("side", [32, 48, 33])
def test_logits_have_one_value_a_class(side: int) -> None:
    network = InceptionResNet3d(SMALL).eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 2, side, side, 32)).shape == (2, 3)


def test_the_stages_have_the_sizes_of_the_paper() -> None:
    settings = InceptionSettings(1, 2, width=0.125, blocks=(1, 1, 1))
    network = InceptionResNet3d(settings).eval()
    with torch.no_grad():
        a = network.stage_a(network.stem(torch.zeros(1, 1, 64, 32, 32)))
        b = network.stage_b(network.reduction_a(a))
        c = network.stage_c(network.reduction_b(b))
    assert a.shape == (1, 384 // 8, 8, 4, 4)
    assert b.shape == (1, 1152 // 8, 4, 2, 2)
    assert c.shape == (1, (1152 + 384 + 288 + 320) // 8, 2, 1, 1)


def conv(before: int, after: int, kernel: int) -> int:
    """Parameters of a convolution without bias and of its batch normalisation."""
    return before * after * kernel + 2 * after


def test_number_of_parameters_is_what_the_layers_add_up_to() -> None:
    # At an eighth of the width; 27 is a kernel of 3, 7 and 3 are lines.
    stem = conv(2, 4, 27) + conv(4, 4, 27) + conv(4, 8, 27) + conv(8, 12, 27)
    stem += conv(20, 8, 1) + conv(8, 12, 27) + conv(20, 8, 1) + 3 * conv(8, 8, 7) + conv(8, 12, 27)
    stem += conv(24, 24, 27)

    def linear(before: int, after: int) -> int:
        return before * after + after

    def attention(n: int) -> int:
        return linear(n, n // 16) + linear(n // 16, n)

    a = 3 * conv(48, 4, 1) + conv(4, 4, 27) + conv(4, 6, 27) + conv(6, 8, 27) + linear(16, 48)
    b = conv(144, 24, 1) + conv(144, 16, 1) + conv(16, 20, 7) + conv(20, 20, 7) + conv(20, 24, 7) + linear(48, 144)
    c = 2 * conv(268, 24, 1) + conv(24, 28, 3) + conv(28, 28, 3) + conv(28, 32, 3) + linear(56, 268)
    first = conv(48, 48, 27) + conv(48, 32, 1) + conv(32, 32, 27) + conv(32, 48, 27)
    second = 3 * conv(144, 32, 1) + conv(32, 48, 27) + 2 * conv(32, 36, 27) + conv(36, 40, 27)
    total = stem + a + attention(48) + first + 2 * b + attention(144) + second + c + attention(268) + linear(268, 3)
    assert n_parameters(InceptionResNet3d(SMALL)) == total


def test_the_full_size_is_the_default() -> None:
    with torch.device("meta"):
        network = InceptionResNet3d(InceptionSettings(1, 2))
    assert [len(stage) - 1 for stage in (network.stage_a, network.stage_b, network.stage_c)] == [5, 10, 5]
    assert network.head.in_features == 2144


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    network = InceptionResNet3d(SMALL)
    logits = network(torch.randn(4, 2, 64, 32, 32))
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()  # type: ignore[no-untyped-call]
    still = [
        name
        for name, p in network.named_parameters()
        if p.grad is None or not torch.isfinite(p.grad).all() or float(p.grad.abs().sum()) == 0
    ]
    assert not still


def test_attention_scales_channels_by_hand() -> None:
    attention = ChannelAttention(2, squeeze=1)
    first, last = attention.excite[0], attention.excite[2]
    with torch.no_grad():
        for layer in (first, last):
            assert isinstance(layer, torch.nn.Linear)
            layer.weight.copy_(torch.eye(2))
            layer.bias.zero_()
        features = torch.stack([torch.full((2, 2, 2), -3.0), torch.full((2, 2, 2), 3.0)])[None]
        weighed = attention(features)
    # Means −3 and 3, ReLU 0 and 3, logistic ½ and 1 / (1 + e⁻³).
    assert weighed[0, 0].flatten().tolist() == pytest.approx([-1.5] * 8)
    assert weighed[0, 1].flatten().tolist() == pytest.approx([3 / (1 + 2.718281828**-3)] * 8)


def test_batch_equals_each_element() -> None:
    torch.manual_seed(0)
    network = InceptionResNet3d(SMALL).eval()
    cubes = torch.randn(3, 2, 32, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(cubes), torch.cat([network(cube[None]) for cube in cubes]))


@pytest.mark.parametrize("name", ["n_inputs", "n_outputs", "width", "squeeze"])
def test_sizes_that_cannot_be_meant_are_refused(name: str) -> None:
    sizes: dict[str, Any] = {"n_inputs": 1, "n_outputs": 2, name: 0}
    with pytest.raises(UsageError, match=f"{name} of the network cannot be meant"):
        InceptionSettings(**sizes)
