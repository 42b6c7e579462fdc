"""What must hold within the description of a model for it to be run."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from osteomet.core.calibration import PlattMap
from osteomet.core.classifier import ClassifierPart
from osteomet.core.errors import ModelError
from osteomet.core.exam_map import wrong_step
from osteomet.core.grader import GraderPart, ResidualNet
from osteomet.core.model import NORM_GROUPS, AnyPart, ModelDescription, ModelPart, NnunetPart, stages_of
from osteomet.io.package_files import check_paths

CARD_FILE = "card.md"


def check_description(description: ModelDescription) -> None:
    """Refuse a description that contradicts itself."""
    check_paths(description.files)
    names = [part.name for part in description.parts]
    for stage in stages_of(description.nnunet) if description.nnunet is not None else ():
        _check_nnunet(stage)
    if description.classifier is not None:
        _check_classifier(description.classifier)
    if description.grader is not None:
        _check_grader(description.grader)
    others = (description.nnunet, description.classifier, description.grader)
    kinds = bool(names) + sum(part is not None for part in others)
    if kinds != 1 or len(set(names)) != len(names):
        raise ModelError("a model has at least one part, each with its own name", got=str(names))
    for part in description.parts:
        _check_part(part)
    if description.calibration is not None:
        for fitted in (description.calibration.lesion, description.calibration.exam, description.calibration.apparent):
            _check_calibration(fitted)
    unlisted = sorted(set(description.weights) - set(description.files))
    if unlisted:
        raise ModelError("weights of the model have no SHA-256", got=str(unlisted))
    if CARD_FILE not in description.files:
        raise ModelError(f"the model package has no {CARD_FILE}", remedy="write a model card")


def _check_part(part: ModelPart) -> None:
    """Refuse a part whose outputs, patch, spacing, window and network do not fit each other."""
    step = 2 ** len(part.network.channels)
    roles = [role for one in part.sequences for role in one]
    rules = {
        "outputs named once each, background first, one for each channel of the network": part.outputs[:1]
        == ("background",)
        and len(set(part.outputs)) == len(part.outputs) == part.network.n_outputs,
        f"channels that are positive multiples of {NORM_GROUPS}": bool(part.network.channels)
        and all(n > 0 and n % NORM_GROUPS == 0 for n in part.network.channels),
        f"patch sides that are positive multiples of {step}": all(n > 0 and n % step == 0 for n in part.patch),
        "a finite positive spacing": all(0 < s < np.inf for s in part.spacing_mm),
        "windows whose low end lies below their high end": all(-np.inf < w.low < w.high < np.inf for w in part.windows),
        "either windows or sequences": bool(part.windows) != bool(part.sequences),
        "a role or more for each sequence, none of them twice": all(part.sequences) and len(set(roles)) == len(roles),
        "a distance from bone of zero or more, if any": part.near_bone_mm is None or 0 <= part.near_bone_mm < np.inf,
        f"{part.n_inputs} inputs, one for each window, two for each sequence and one for bones where it sees them": (
            part.network.n_inputs == part.n_inputs
        ),
        "at least one file of weights": bool(part.weights),
    }
    _check_rules(f"part {part.name!r} of the model", rules, part)


def _check_nnunet(part: NnunetPart) -> None:
    """Refuse a network of nnU-Net whose description does not fit together."""
    net = part.network
    stages, n_axes = len(net.features), len(part.patch) - (part.spacing_mm[0] is None)
    sizes = (*net.kernels, *net.strides)
    n_labels = 0 if part.first is None else len(part.values) - 1
    steps = [1] * (3 - n_axes) + [math.prod(sides) for sides in zip(*net.strides, strict=False)]
    rules = {
        "two stages or more": stages >= 2,
        "positive numbers of features and blocks for each stage": len(net.blocks) == stages
        and len(net.decoder_blocks) == stages - 1
        and min((*net.features, *net.blocks, *net.decoder_blocks), default=0) > 0,
        f"kernels and strides of {n_axes} positive numbers for each stage": len(net.kernels) == stages
        and len(net.strides) == stages
        and all(len(size) == n_axes and min(size) > 0 for size in sizes),
        f"patch sides that are positive multiples of {steps}": len(steps) == 3
        and all(n > 0 and n % step == 0 for n, step in zip(part.patch, steps, strict=True)),
        "a patch of one slice where slices keep their distance": part.spacing_mm[0] is not None or part.patch[0] == 1,
        "a finite positive spacing": all(0 < s < np.inf for s in part.spacing_mm if s is not None),
        "one input for each channel, and in the second stage of a cascade for each label but the background": (
            net.n_inputs == len(part.channels) + n_labels and bool(part.channels)
        ),
        "labels that exclude each other, those of the first stage, in the second stage of a cascade": part.first is None
        or (part.exclusive and part.first.part.exclusive and part.first.part.values == part.values),
        "statistics for each channel of CT": all(c.statistics is not None for c in part.channels if c.scheme == "CT"),
        "three axes, each once": sorted(part.axes) == [0, 1, 2],
        "mirrored axes among those of the network": set(part.mirror_axes) <= {0, 1, 2}
        and (n_axes == 3 or 0 not in part.mirror_axes),
        "outputs named once each, one for each channel of the network, with a label each": len(set(part.outputs))
        == len(part.outputs)
        == len(part.values)
        == net.n_outputs,
        "labels 0, 1, 2, …, or different ones from 1 to 65535 for regions": part.values == tuple(range(net.n_outputs))
        if part.exclusive
        else len(set(part.values)) == len(part.values) and all(0 < value <= 65535 for value in part.values),
        "at least one file of weights": bool(part.weights),
    }
    _check_rules(f"network {part.configuration!r} of the model", rules, part)


def _check_classifier(part: ClassifierPart) -> None:
    """Refuse a classifier whose channels, cube, classes and network do not fit each other."""
    net, names = part.network, [channel.name for channel in part.channels]
    numbers = [number for channel in part.channels for number in (channel.centre, channel.scale)]
    rules = {
        "two classes or more, named once each, one for each output of the network": len(set(part.classes))
        == len(part.classes)
        == net.n_outputs
        >= 2,
        "channels named once each, and an input for each and for the mask": bool(names)
        and len(set(names)) == len(names) == net.n_inputs - 1,
        "finite means and positive standard deviations": all(map(math.isfinite, numbers))
        and all(channel.scale > 0 for channel in part.channels),
        "a positive width, and positive numbers of blocks and squeezed features": 0 < net.width < math.inf
        and min(*net.blocks, net.squeeze) > 0,
        "a cube of some voxels of a finite positive edge": part.side > 0 and 0 < part.edge_mm < math.inf,
        "at least one file of weights": bool(part.weights),
    }
    _check_rules("the classifier of the model", rules, part)


def _check_grader(part: GraderPart) -> None:
    """Refuse a grader whose steps, sequences and network do not fit each other."""
    net = part.network
    rules = {
        "steps in their order, one of them “straighten”": wrong_step(part.steps) is None,
        "sequences, and two grades or more, named once each": bool(part.sequences)
        and len(part.outputs) > 1
        and all(len(set(names)) == len(names) for names in (part.sequences, part.outputs)),
        f"channels that are multiples of {NORM_GROUPS}": not isinstance(net, ResidualNet)
        or (bool(net.channels) and all(n % NORM_GROUPS == 0 for n in net.channels)),
        "at least one file of weights": bool(part.weights),
    }
    _check_rules("the grader of the model", rules, part)


def _check_calibration(fitted: PlattMap) -> None:
    """Refuse a map that gives no probability, or turns the order of scores."""
    rules = {
        "a finite intercept": -np.inf < fitted.intercept < np.inf,
        "a positive finite slope": 0 < fitted.slope < np.inf,
        "counts of which one is part of the other": 0 <= fitted.n_positive <= fitted.n,
    }
    _check_rules("the calibration of the model", rules, fitted)


def _check_rules(what: str, rules: Mapping[str, bool], part: AnyPart | PlattMap) -> None:
    """Refuse a description at the first rule that does not hold."""
    for rule, holds in rules.items():
        if not holds:
            raise ModelError(f"{what} contradicts itself", expected=rule, got=str(part))
