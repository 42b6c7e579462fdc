import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from osteomet.core.model import PlannedUNetSpec
from osteomet.nn.planned_unet import ResidualBlock, rename_parameters
from osteomet.nn.unet import build_network

PLAIN = PlannedUNetSpec(
    kind="plain_conv_unet",
    n_inputs=2,
    n_outputs=3,
    features=(4, 6),
    kernels=((1, 3, 3), (3, 3, 3)),
    strides=((1, 1, 1), (1, 2, 2)),
    blocks=(1, 2),
    decoder_blocks=(1,),
    bias=True,
    epsilon=1e-5,
    slope=0.01,
)
RESIDUAL = replace(PLAIN, kind="residual_encoder_unet")
FLAT = replace(PLAIN, kernels=((3, 3), (3, 3)), strides=((1, 1), (2, 2)))


def convolution(before: int, after: int, kernel: int) -> int:
    """Weights, bias, and scale and shift of the normalisation."""
    return before * after * kernel + after + 2 * after


def test_number_of_parameters_of_a_plain_network() -> None:
    encoder = convolution(2, 4, 9) + convolution(4, 6, 27) + convolution(6, 6, 27)
    decoder = (6 * 4 * 4 + 4) + convolution(8, 4, 9) + (4 * 3 + 3)
    assert sum(p.numel() for p in build_network(PLAIN).parameters()) == encoder + decoder


def test_number_of_parameters_of_a_residual_network() -> None:
    stem = convolution(2, 4, 9)
    first = 2 * convolution(4, 4, 9)
    # The first block of the second stage has a shortcut of 4 × 6 weights without bias, and its normalisation.
    second = convolution(4, 6, 27) + convolution(6, 6, 27) + (4 * 6 + 12) + 2 * convolution(6, 6, 27)
    decoder = (6 * 4 * 4 + 4) + convolution(8, 4, 9) + (4 * 3 + 3)
    assert sum(p.numel() for p in build_network(RESIDUAL).parameters()) == stem + first + second + decoder


@pytest.mark.parametrize("spec", [PLAIN, RESIDUAL])
def test_logits_for_every_voxel(spec: PlannedUNetSpec) -> None:
    assert build_network(spec)(torch.zeros(2, 2, 3, 4, 8)).shape == (2, 3, 3, 4, 8)
    assert build_network(replace(FLAT, kind=spec.kind))(torch.zeros(2, 2, 4, 8)).shape == (2, 3, 4, 8)


def test_a_residual_block_that_adds_nothing_averages_over_its_stride() -> None:
    block = ResidualBlock(RESIDUAL, 4, 4, (3, 3, 3), (1, 2, 2))
    torch.nn.init.zeros_(block.conv2.norm.weight)
    torch.nn.init.zeros_(block.conv2.norm.bias)
    image = torch.tensor([[1.0, 3.0], [5.0, -21.0]]).expand(1, 4, 3, 2, 2)
    # The mean of the four is -3, and the leaky ReLU makes a hundredth of it.
    torch.testing.assert_close(block(image), torch.full((1, 4, 3, 1, 1), -0.03))


def test_every_parameter_of_a_checkpoint_is_kept_once_but_for_deep_supervision() -> None:
    one = torch.zeros(1)
    block = "encoder.stages.1.blocks.0"
    names = [f"{block}.conv1.conv.weight", f"{block}.conv1.all_modules.0.weight", f"{block}.skip.1.norm.bias"]
    names += ["encoder.stem.convs.0.conv.bias", "decoder.transpconvs.0.weight", "decoder.stages.0.convs.1.norm.weight"]
    names += [f"decoder.{name}" for name in names[:4]]
    names += ["decoder.seg_layers.0.weight", "decoder.seg_layers.1.weight", "something.else"]
    assert list(rename_parameters(dict.fromkeys(names, one), n_stages=3)) == [
        "encoder.1.0.conv1.conv.weight",
        "encoder.1.0.skip.1.norm.bias",
        "stem.conv.bias",
        "upsampling.0.weight",
        "decoder.0.1.norm.weight",
        "head.weight",
        "something.else",
    ]


@pytest.mark.oracle
@pytest.mark.parametrize("spec", [PLAIN, RESIDUAL, FLAT, replace(FLAT, kind="residual_encoder_unet", bias=False)])
def test_networks_of_the_same_weights_agree(spec: PlannedUNetSpec) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = pytest.importorskip(
            "dynamic_network_architectures.architectures.unet", reason="dynamic-network-architectures is not installed"
        )
    torch.manual_seed(5)
    flat, plain = len(spec.kernels[0]) == 2, spec.kind == "plain_conv_unet"
    arguments = {
        "input_channels": spec.n_inputs,
        "num_classes": spec.n_outputs,
        "n_stages": 2,
        "features_per_stage": spec.features,
        "conv_op": torch.nn.Conv2d if flat else torch.nn.Conv3d,
        "kernel_sizes": spec.kernels,
        "strides": spec.strides,
        "n_conv_per_stage" if plain else "n_blocks_per_stage": spec.blocks,
        "n_conv_per_stage_decoder": spec.decoder_blocks,
        "conv_bias": spec.bias,
        "norm_op": torch.nn.InstanceNorm2d if flat else torch.nn.InstanceNorm3d,
        "norm_op_kwargs": {"eps": spec.epsilon, "affine": True},
        "nonlin": torch.nn.LeakyReLU,
        "nonlin_kwargs": {"inplace": True},
    }
    theirs = (oracle.PlainConvUNet if plain else oracle.ResidualEncoderUNet)(**arguments).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    ours = build_network(spec).eval()
    ours.load_state_dict(rename_parameters(theirs.state_dict(), n_stages=2))
    image = torch.randn(1, 2, *((8, 12) if flat else (3, 8, 12)))
    with torch.no_grad():
        np.testing.assert_allclose(ours(image), theirs(image), atol=1e-4)
