import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from osteomet.core.errors import ModelError
from osteomet.core.model import (
    FirstStage,
    InputChannel,
    IntensityStatistics,
    NnunetPart,
    PlannedUNetSpec,
    ResampleRule,
    stages_of,
)
from osteomet.core.volume import Modality
from osteomet.io.nnunet_plans import describe_part, modality_of, previous_stage

DATASET: dict[str, Any] = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "bone": 1, "lesion": 2}}
PLANS: dict[str, Any] = {
    "image_reader_writer": "SimpleITKIO",
    "transpose_forward": [2, 0, 1],
    "label_manager": "LabelManager",
    "foreground_intensity_properties_per_channel": {
        "0": {"mean": 100.0, "std": 50.0, "percentile_00_5": -20.0, "percentile_99_5": 800.0, "max": 1, "min": 0}
    },
    "configurations": {
        "3d_fullres": {
            "preprocessor_name": "DefaultPreprocessor",
            "patch_size": [8, 16, 16],
            "spacing": [3.0, 0.7, 0.8],
            "normalization_schemes": ["CTNormalization"],
            "use_mask_for_norm": [False],
            "resampling_fn_data": "resample_data_or_seg_to_shape",
            "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None},
            "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
            "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None},
            "architecture": {
                "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
                "arch_kwargs": {
                    "n_stages": 2,
                    "features_per_stage": [32, 64],
                    "conv_op": "torch.nn.modules.conv.Conv3d",
                    "kernel_sizes": [[1, 3, 3], 3],
                    "strides": [1, [1, 2, 2]],
                    "n_conv_per_stage": 2,
                    "n_conv_per_stage_decoder": [2],
                    "conv_bias": True,
                    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                    "norm_op_kwargs": {"eps": 1e-5, "affine": True},
                    "dropout_op": None,
                    "dropout_op_kwargs": None,
                    "nonlin": "torch.nn.LeakyReLU",
                    "nonlin_kwargs": {"inplace": True},
                },
            },
        },
        "3d_cascade_fullres": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"},
        "smaller": {"inherits_from": "3d_fullres", "patch_size": [4, 8, 8]},
    },
}
NETWORK = PlannedUNetSpec(
    "plain_conv_unet", 1, 3, (32, 64), ((1, 3, 3), (3, 3, 3)), ((1, 1, 1), (1, 2, 2)), (2, 2), (2,), True, 1e-5, 0.01
)
EXPECTED = NnunetPart(
    configuration="3d_fullres",
    network=NETWORK,
    channels=(InputChannel("CT", "CT", False, IntensityStatistics(-20.0, 800.0, 100.0, 50.0)),),
    orientation="stored",
    axes=(2, 0, 1),
    spacing_mm=(3.0, 0.7, 0.8),
    patch=(8, 16, 16),
    image_rule=ResampleRule(3, None),
    logit_rule=ResampleRule(1, None),
    mirror_axes=(0, 1, 2),
    outputs=("background", "bone", "lesion"),
    values=(0, 1, 2),
    exclusive=True,
    weights=(),
)

SEGMENTATION: dict[str, Any] = {
    "resampling_fn_seg": "resample_data_or_seg_to_shape",
    "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None},
}
Edit = Callable[[dict[str, Any]], None]


def whole(plans: dict[str, Any]) -> dict[str, Any]:
    return plans


def settings(plans: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = plans["configurations"]["3d_fullres"]
    return found


def arguments(plans: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = settings(plans)["architecture"]["arch_kwargs"]
    return found


def edited(edit: Edit) -> dict[str, Any]:
    plans = copy.deepcopy(PLANS)
    edit(plans)
    return plans


def flat(plans: dict[str, Any]) -> None:
    settings(plans).update(patch_size=[16, 16], spacing=[0.7, 0.8])
    arguments(plans).update(
        conv_op="torch.nn.modules.conv.Conv2d",
        norm_op="torch.nn.modules.instancenorm.InstanceNorm2d",
        kernel_sizes=[3, 3],
        strides=[1, 2],
    )


def older(plans: dict[str, Any]) -> None:
    """The same network as versions before 2.4 wrote it."""
    of = settings(plans)
    del of["architecture"]
    of.update(
        UNet_class_name="PlainConvUNet",
        UNet_base_num_features=32,
        unet_max_num_features=320,
        n_conv_per_stage_encoder=[2, 2],
        n_conv_per_stage_decoder=[2],
        conv_kernel_sizes=[[1, 3, 3], [3, 3, 3]],
        pool_op_kernel_sizes=[[1, 1, 1], [1, 2, 2]],
    )


def test_every_setting() -> None:
    assert describe_part(PLANS, DATASET, "3d_fullres", (0, 1, 2)) == EXPECTED


def test_plans_of_older_versions() -> None:
    assert describe_part(edited(older), DATASET, "3d_fullres", (0, 1, 2)) == EXPECTED


def test_a_configuration_takes_what_it_does_not_say_from_another() -> None:
    assert describe_part(PLANS, DATASET, "smaller", ()).patch == (4, 8, 8)
    assert describe_part(PLANS, DATASET, "smaller", ()).spacing_mm == (3.0, 0.7, 0.8)


def test_a_flat_network_leaves_the_slices() -> None:
    part = describe_part(edited(flat), DATASET, "3d_fullres", (0, 1))
    assert (part.patch, part.spacing_mm, part.mirror_axes) == ((1, 16, 16), (None, 0.7, 0.8), (1, 2))
    assert part.network.strides == ((1, 1), (2, 2))


def test_regions_write_labels_in_order() -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}
    part = describe_part(PLANS, DATASET | {"labels": labels, "regions_class_order": [1, 2, 3]}, "3d_fullres", ())
    assert (part.outputs, part.values, part.exclusive) == (("whole", "core", "enhancing"), (1, 2, 3), False)
    assert part.network.n_outputs == 3


def test_the_label_to_ignore_is_no_output() -> None:
    part = describe_part(PLANS, DATASET | {"labels": {**DATASET["labels"], "ignore": 3}}, "3d_fullres", ())
    assert part.outputs == ("background", "bone", "lesion")


def test_modality() -> None:
    assert modality_of(DATASET) is Modality.CT
    assert modality_of({"modality": {"0": "T1", "1": "T2"}}) is Modality.MR


def set_(place: Callable[[dict[str, Any]], dict[str, Any]], **values: Any) -> Edit:
    return lambda plans: place(plans).update(values)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (set_(settings, preprocessor_name="Mine"), "preprocessor that osteomet does not follow; expected Default"),
        (set_(settings, normalization_schemes=["RGBTo01Normalization"]), "normalisation that .* got RGBTo01Norm"),
        (set_(settings, resampling_fn_data="resample_torch_fornnunet"), "resampling that .*got resample_torch"),
        (lambda p: settings(p)["resampling_fn_data_kwargs"].update(order_z=1), "setting of resampling that"),
        (set_(whole, image_reader_writer="NaturalImage2DIO"), "reader of images that .*got NaturalImage2DIO"),
        (set_(whole, label_manager="Mine"), "label manager that"),
        (set_(lambda p: settings(p)["architecture"], network_class_name="a.b.Primus"), "network that .*got Primus"),
        (set_(arguments, norm_op="torch.nn.modules.batchnorm.BatchNorm3d"), "normalisation layer that .*BatchNorm3d"),
        (set_(arguments, norm_op_kwargs={"eps": 1e-5, "affine": False}), "layer that"),
        (set_(arguments, nonlin="torch.nn.ReLU"), "activation that .*got ReLU"),
        (set_(arguments, nonlin_first=True), "setting of the network that .*got nonlin_first"),
        (set_(arguments, kernel_sizes=[3]), "lacks something, or has it in another form.*1 sizes for 2 stages"),
        (lambda p: settings(p).pop("spacing"), "lacks something.*KeyError: 'spacing'"),
    ],
)  # fmt: skip
def test_what_osteomet_does_not_follow_is_refused(edit: Edit, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        describe_part(edited(edit), DATASET, "3d_fullres", ())


def test_the_second_stage_of_a_cascade_sees_the_labels_of_the_first() -> None:
    plans = edited(lambda p: settings(p).update(SEGMENTATION))
    first = replace(EXPECTED, configuration="3d_lowres")
    part = describe_part(plans, DATASET, "3d_cascade_fullres", (), first=first)
    assert part.network.n_inputs == 1 + 2
    assert part.first == FirstStage(first, ResampleRule(1, None))
    assert stages_of(part) == (first, part)
    assert stages_of(first) == (first,)
    assert (previous_stage(plans, "3d_cascade_fullres"), previous_stage(plans, "3d_fullres")) == ("3d_lowres", "")


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (None, "the first is missing; expected a trained 3d_lowres beside it; got none; remedy: pass the folder"),
        (EXPECTED, "expected a trained 3d_lowres beside it; got 3d_fullres"),
        (
            replace(EXPECTED, configuration="3d_lowres", values=(0, 1, 3)),
            "with a cascade that osteomet does not follow; expected labels, those of the first stage",
        ),
    ],
)
def test_a_cascade_without_its_first_stage_is_refused(first: NnunetPart | None, message: str) -> None:
    plans = edited(lambda p: settings(p).update(SEGMENTATION))
    with pytest.raises(ModelError, match=message):
        describe_part(plans, DATASET, "3d_cascade_fullres", (), first=first)


@pytest.mark.parametrize("name", ["2d", "circle"])
def test_a_configuration_that_the_plans_do_not_describe(name: str) -> None:
    plans = edited(lambda p: p["configurations"].update(circle={"inherits_from": "circle"}))
    with pytest.raises(ModelError, match="does not describe the configuration"):
        describe_part(plans, DATASET, name, ())


def test_labels_with_a_gap_are_refused() -> None:
    with pytest.raises(ModelError, match="without a gap"):
        describe_part(PLANS, DATASET | {"labels": {"background": 0, "bone": 2}}, "3d_fullres", ())
    regions = {"labels": {"background": 0, "whole": [1, 2], "core": 2}, "regions_class_order": [1]}
    with pytest.raises(ModelError, match="more regions than labels"):
        describe_part(PLANS, DATASET | regions, "3d_fullres", ())
