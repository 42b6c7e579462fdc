"""What ``plans.json`` and ``dataset.json`` of nnU-Net v2 say about a trained network, in the terms of a model package.

Everything that nnU-Net leaves open to the user (other preprocessors, resampling functions, readers, networks) is
refused unless it is one of those it comes with and that osteomet follows, so that a result is right or there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from osteomet.core.errors import ModelError
from osteomet.core.model import (
    FirstStage,
    InputChannel,
    IntensityStatistics,
    NnunetPart,
    PlannedUNetSpec,
    ResampleRule,
)
from osteomet.core.volume import Modality

_KINDS: Mapping[str, Literal["plain_conv_unet", "residual_encoder_unet"]] = {
    "PlainConvUNet": "plain_conv_unet",
    "ResidualEncoderUNet": "residual_encoder_unet",
}
_ORIENTATIONS: Mapping[str, Literal["stored", "RAS"]] = {
    "SimpleITKIO": "stored",
    "NibabelIO": "stored",
    "SimpleITKIOWithReorient": "RAS",
    "NibabelIOWithReorient": "RAS",
}
_SCHEMES: Mapping[str, Literal["CT", "ZScore", "RescaleTo01", "No"]] = {
    "CTNormalization": "CT",
    "ZScoreNormalization": "ZScore",
    "RescaleTo01Normalization": "RescaleTo01",
    "NoNormalization": "No",
}
_RESAMPLING = "resample_data_or_seg_to_shape"


def describe_part(
    plans: Mapping[str, Any],
    dataset: Mapping[str, Any],
    configuration: str,
    mirror_axes: Sequence[int],
    *,
    first: NnunetPart | None = None,
) -> NnunetPart:
    """Describe a trained configuration; its files of weights are left empty.

    Parameters
    ----------
    plans, dataset
        The two documents.
    configuration
        Name in ``plans``.
    mirror_axes
        Axes of the network that it was trained to be mirrored along.
    first
        First stage of a cascade (`previous_stage`), described.

    Raises
    ------
    ModelError
        If something is missing, or asks for what osteomet does not follow.
    """
    try:
        part = _described(plans, dataset, configuration, mirror_axes)
        return part if not previous_stage(plans, configuration) else _cascaded(plans, part, first)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        what = "plans.json or dataset.json lacks something, or has it in another form than nnU-Net v2 writes"
        raise ModelError(what, got=f"{type(error).__name__}: {error}") from error


def previous_stage(plans: Mapping[str, Any], configuration: str) -> str:
    """Configuration whose label map is an input of this one; empty for all but the second stage of a cascade."""
    return str(_settings(plans["configurations"], configuration).get("previous_stage") or "")


def modality_of(dataset: Mapping[str, Any]) -> Modality:
    """CT where every channel is called so, which is how nnU-Net knows it too; else MR."""
    names = _channel_names(dataset)
    return Modality.CT if names and all(name.casefold() == "ct" for name in names) else Modality.MR


def _described(
    plans: Mapping[str, Any], dataset: Mapping[str, Any], configuration: str, mirror_axes: Sequence[int]
) -> NnunetPart:
    settings = _settings(plans["configurations"], configuration)
    _known(plans.get("label_manager", "LabelManager"), ["LabelManager"], "label manager")
    _known(settings["preprocessor_name"], ["DefaultPreprocessor"], "preprocessor")
    labels = _labels(dataset)
    patch = [int(n) for n in settings["patch_size"]]
    channels = _channels(plans, dataset, settings)
    spacing = [float(s) for s in settings["spacing"]]
    a, b, c = (int(axis) for axis in plans["transpose_forward"])
    flat = len(patch) == 2
    return NnunetPart(
        configuration=configuration,
        network=_network(settings, len(channels), len(labels.names)),
        channels=channels,
        orientation=_ORIENTATIONS[_known(plans["image_reader_writer"], _ORIENTATIONS, "reader of images")],
        axes=(a, b, c),
        spacing_mm=(None if flat else spacing[-3], spacing[-2], spacing[-1]),
        patch=(1 if flat else patch[-3], patch[-2], patch[-1]),
        image_rule=_rule(settings, "data"),
        logit_rule=_rule(settings, "probabilities"),
        mirror_axes=tuple(axis + flat for axis in mirror_axes),
        outputs=labels.names,
        values=labels.values,
        exclusive=labels.exclusive,
        weights=(),
    )


def _cascaded(plans: Mapping[str, Any], part: NnunetPart, first: NnunetPart | None) -> NnunetPart:
    """Give the second stage of a cascade its first stage and the inputs that come from it."""
    wanted = previous_stage(plans, part.configuration)
    if first is None or first.configuration != wanted:
        raise ModelError(
            f"configuration {part.configuration} is the second stage of a cascade, and the first is missing",
            expected=f"a trained {wanted} beside it",
            got="none" if first is None else first.configuration,
            remedy=f"pass the folder of the data set that holds both, with --configuration {part.configuration}",
        )
    if not (part.exclusive and first.values == part.values):
        _known("regions, or other labels than the first stage", ["labels, those of the first stage"], "cascade")
    rule = _rule(_settings(plans["configurations"], part.configuration), "seg", is_labels=True)
    network = replace(part.network, n_inputs=len(part.channels) + part.network.n_outputs - 1)
    return replace(part, network=network, first=FirstStage(first, rule))


def _settings(configurations: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Settings of a configuration with those that it inherits."""
    chain: list[str] = []
    while name:
        if name in chain or name not in configurations:
            raise ModelError("plans.json does not describe the configuration", got=f"{' → '.join([*chain, name])}")
        chain.append(name)
        name = configurations[name].get("inherits_from", "")
    merged: dict[str, Any] = {}
    for step in reversed(chain):
        merged.update(configurations[step])
    return merged


def _known(found: Any, known: Sequence[str] | Mapping[str, Any], what: str) -> str:
    """Return a name that is known, or refuse it."""
    if found not in list(known):
        raise ModelError(
            f"the model was trained with a {what} that osteomet does not follow",
            expected=" or ".join(known),
            got=str(found),
            remedy="predict with nnU-Net itself, and read its label maps with osteomet",
        )
    return str(found)


@dataclass(frozen=True, slots=True)
class _Labels:
    """What the channels of the network stand for."""

    names: tuple[str, ...]
    values: tuple[int, ...]
    exclusive: bool


def _labels(dataset: Mapping[str, Any]) -> _Labels:
    """Labels, or regions with the label that each writes; the label to ignore is no output."""
    table = {name: label for name, label in dataset["labels"].items() if name != "ignore"}
    if any(isinstance(label, list) and len(label) > 1 for label in table.values()):
        regions = [name for name, label in table.items() if label not in (0, [0])]
        values = tuple(int(value) for value in dataset["regions_class_order"])
        if len(values) != len(regions):
            raise ModelError("dataset.json names more regions than labels for them", got=f"{regions} against {values}")
        return _Labels(tuple(regions), values, exclusive=False)
    ordered = sorted((int(label[0] if isinstance(label, list) else label), name) for name, label in table.items())
    if [label for label, _ in ordered] != list(range(len(ordered))):
        raise ModelError("labels must be 0 (background), 1, 2, … without a gap", got=str(dataset["labels"]))
    return _Labels(tuple(name for _, name in ordered), tuple(range(len(ordered))), exclusive=True)


def _channel_names(dataset: Mapping[str, Any]) -> list[str]:
    """Names of the input channels in their order; older files call them modalities."""
    names = dataset["channel_names"] if "channel_names" in dataset else dataset["modality"]
    return [str(name) for _, name in sorted(names.items(), key=lambda item: int(item[0]))]


def _channels(
    plans: Mapping[str, Any], dataset: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[InputChannel, ...]:
    """How each input image is normalised."""
    key = "foreground_intensity_properties_per_channel"
    facts = plans[key] if key in plans else plans["foreground_intensity_properties_by_modality"]
    channels = []
    names, schemes, masks = _channel_names(dataset), settings["normalization_schemes"], settings["use_mask_for_norm"]
    for number, (name, found, masked) in enumerate(zip(names, schemes, masks, strict=True)):
        scheme = _SCHEMES[_known(found, _SCHEMES, "normalisation")]
        statistics = None
        if scheme == "CT":
            own = facts[str(number)]
            low, high, mean, std = (float(own[k]) for k in ("percentile_00_5", "percentile_99_5", "mean", "std"))
            statistics = IntensityStatistics(low, high, mean, std)
        channels.append(InputChannel(name, scheme, bool(masked) and scheme == "ZScore", statistics))
    return tuple(channels)


def _rule(settings: Mapping[str, Any], of: str, *, is_labels: bool = False) -> ResampleRule:
    """How images (``data``), logits (``probabilities``) or label maps (``seg``) are resampled."""
    _known(settings[f"resampling_fn_{of}"], [_RESAMPLING], "resampling")
    arguments = dict(settings[f"resampling_fn_{of}_kwargs"])
    rule = ResampleRule(int(arguments.pop("order")), arguments.pop("force_separate_z"))
    usual = {"is_seg": is_labels, "order_z": 0}
    if arguments != usual:
        _known(str(arguments), [str(usual)], "setting of resampling")
    return rule


def _network(settings: Mapping[str, Any], n_inputs: int, n_outputs: int) -> PlannedUNetSpec:
    """Shape of the network; every argument that osteomet does not follow must be as nnU-Net plans it."""
    architecture = settings["architecture"] if "architecture" in settings else _older(settings)
    kind = _KINDS[_known(architecture["network_class_name"].rpartition(".")[2], _KINDS, "network")]
    given = dict(architecture["arch_kwargs"])
    n_axes, stages = len(settings["patch_size"]), int(given.pop("n_stages"))
    _known(str(given.pop("conv_op")).rpartition(".")[2], [f"Conv{n_axes}d"], "convolution")
    _known(str(given.pop("norm_op")).rpartition(".")[2], [f"InstanceNorm{n_axes}d"], "normalisation layer")
    _known(str(given.pop("nonlin")).rpartition(".")[2], ["LeakyReLU"], "activation")
    norm, activation = dict(given.pop("norm_op_kwargs") or {}), dict(given.pop("nonlin_kwargs") or {})
    if not norm.pop("affine", False) or set(norm) - {"eps"} or set(activation) - {"inplace", "negative_slope"}:
        _known(f"{norm}, {activation}", ["affine instance normalisation and a leaky ReLU"], "layer")
    blocks = given.pop("n_conv_per_stage" if kind == "plain_conv_unet" else "n_blocks_per_stage")
    spec = PlannedUNetSpec(
        kind=kind,
        n_inputs=n_inputs,
        n_outputs=n_outputs,
        features=_each(given.pop("features_per_stage"), stages),
        kernels=_sizes(given.pop("kernel_sizes"), stages, n_axes),
        strides=_sizes(given.pop("strides"), stages, n_axes),
        blocks=_each(blocks, stages),
        decoder_blocks=_each(given.pop("n_conv_per_stage_decoder"), stages - 1),
        bias=bool(given.pop("conv_bias")),
        epsilon=float(norm.get("eps", 1e-5)),
        slope=float(activation.get("negative_slope", 0.01)),
    )
    unknown = sorted(key for key, value in given.items() if value is not None)
    if unknown:
        _known(", ".join(unknown), ["none beyond those that nnU-Net plans"], "setting of the network")
    return spec


def _each(numbers: int | Sequence[int], n: int) -> tuple[int, ...]:
    """One number for each stage."""
    return (numbers,) * n if isinstance(numbers, int) else tuple(int(number) for number in numbers)


def _sizes(sizes: Sequence[int | Sequence[int]], n: int, n_axes: int) -> tuple[tuple[int, ...], ...]:
    """One size along each axis for each stage."""
    if len(sizes) != n:
        raise ValueError(f"{len(sizes)} sizes for {n} stages")
    return tuple(_each(size, n_axes) for size in sizes)


def _older(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Architecture as nnU-Net writes it since version 2.4, from plans written before."""
    kind = settings["UNet_class_name"]
    n_axes, blocks = len(settings["patch_size"]), list(settings["n_conv_per_stage_encoder"])
    base, most = int(settings["UNet_base_num_features"]), int(settings["unet_max_num_features"])
    return {
        "network_class_name": kind,
        "arch_kwargs": {
            "n_stages": len(blocks),
            "features_per_stage": [min(base * 2**stage, most) for stage in range(len(blocks))],
            "conv_op": f"Conv{n_axes}d",
            "kernel_sizes": settings["conv_kernel_sizes"],
            "strides": settings["pool_op_kernel_sizes"],
            "n_conv_per_stage" if kind == "PlainConvUNet" else "n_blocks_per_stage": blocks,
            "n_conv_per_stage_decoder": settings["n_conv_per_stage_decoder"],
            "conv_bias": True,
            "norm_op": f"InstanceNorm{n_axes}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "nonlin": "LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
    }
