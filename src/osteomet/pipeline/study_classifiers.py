"""Packages that classify the lesions or the exam of a study: read, told apart, and asked which images they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from osteomet.core.classification import ClassifierKind, ClassifierUse
from osteomet.core.errors import ModelError, UsageError
from osteomet.core.signature import Signature
from osteomet.io.model_package import ModelPackage, find_package, read_package
from osteomet.io.signature_file import SIGNATURE_FILE, SignaturePackage, read_signature
from osteomet.radiomics.names import feature_names
from osteomet.radiomics.settings import RadiomicsSettings

_SETTINGS: TypeAdapter[RadiomicsSettings] = TypeAdapter(RadiomicsSettings)


@dataclass(frozen=True, slots=True, eq=False)
class StudyClassifier:
    """A package that can classify, and what the findings say of it."""

    use: ClassifierUse
    package: SignaturePackage | ModelPackage


@dataclass(frozen=True, slots=True)
class SignatureFeatures:
    """What a signature is computed from: settings, and for each of its features the image and the plain name."""

    settings: RadiomicsSettings
    sources: Mapping[str, tuple[str, str]]

    @property
    def images(self) -> tuple[str, ...]:
        """Images in the order in which the signature names them."""
        return tuple(dict.fromkeys(image for image, _ in self.sources.values()))


def read_classifiers(names_or_paths: Sequence[str], *, imported: Path | None) -> tuple[StudyClassifier, ...]:
    """Read every package that is to classify.

    Parameters
    ----------
    names_or_paths
        Signatures (the file, or the folder that `osteomet radiomics fit` made) and model packages.
    imported
        Folder of imported models.

    Raises
    ------
    ModelError
        If a package is missing, damaged or changed, classifies nothing, or does not say what it is computed from.
    UsageError
        If two packages of one kind have one name.
    """
    found = tuple(read_classifier(one, imported=imported) for one in names_or_paths)
    names = [(one.use.kind, one.use.package) for one in found]
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise UsageError(
            "two classifiers of one kind have one name",
            expected="each --classifier with a name of its own, by which the results are told apart",
            got=f"{twice[0].value} {twice[1]!r} twice",
        )
    return found


def read_classifier(name_or_path: str, *, imported: Path | None) -> StudyClassifier:
    """Read one package; errors are those of `read_classifiers`."""
    path = Path(name_or_path)
    if path.suffix == ".json" or (path / SIGNATURE_FILE).is_file():
        return _signature(read_signature(path))
    package = read_package(find_package(name_or_path, imported=imported))
    description = package.description
    if description.classifier is not None:
        kind, classes = ClassifierKind.NETWORKS, description.classifier.classes
        images = tuple(channel.name for channel in description.classifier.channels)
    elif description.grader is not None:
        kind, classes, images = ClassifierKind.GRADER, description.grader.outputs, description.grader.sequences
    else:
        raise ModelError(
            f"model {description.name!r} classifies neither lesions nor exams",
            expected="a package of `osteomet radiomics fit`, `osteomet classify fit` or `osteomet reproduce`",
            got=f"a model for this task: {description.task}",
            remedy="name it with --model, if it is to find the lesions",
        )
    return StudyClassifier(
        ClassifierUse(kind, description.name, description.version, package.sha256, classes, images), package
    )


def signature_features(signature: Signature) -> SignatureFeatures:
    """What the features of a signature are computed from.

    A feature is named as `osteomet.radiomics.names` does, and is then of the image that the signature names, or has
    the name of its image in front, as `osteomet.pipeline.map_features` writes it.

    Raises
    ------
    ModelError
        If settings or image are not known, or the settings do not give a feature.
    """
    settings = _settings(signature)
    plain = set(feature_names(settings))
    sources = {term.feature: _source(signature, term.feature, plain) for term in signature.terms}
    return SignatureFeatures(settings, sources)


def _signature(package: SignaturePackage) -> StudyClassifier:
    signature = package.signature
    version = str(signature.training.get("software", "")).removeprefix("osteomet ") or "unknown"
    images = signature_features(signature).images
    use = ClassifierUse(
        ClassifierKind.SIGNATURE, signature.name, version, package.sha256, tuple(signature.classes), images
    )
    return StudyClassifier(use, package)


def _settings(signature: Signature) -> RadiomicsSettings:
    """Settings of the extraction."""
    found: Mapping[str, Any] | None = signature.extraction
    what = f"with which settings the features of the signature “{signature.name}” are computed"
    remedy = "fit it to a table of `osteomet radiomics extract`, with the JSON file of the same name beside it"
    if found is None:
        raise ModelError(f"it is not known {what}", remedy=remedy)
    try:
        return _SETTINGS.validate_python(dict(found))
    except (ValidationError, UsageError) as error:
        raise ModelError(f"it cannot be read {what}", got=str(error), remedy=remedy) from error


def _source(signature: Signature, feature: str, plain: set[str]) -> tuple[str, str]:
    """Image and plain name of a feature."""
    if feature in plain:
        if signature.image is None:
            raise ModelError(
                f"it is not known which image the features of the signature “{signature.name}” are computed on",
                expected="features of a channel that dataset.json names, such as CT, T1 or peak_enhancement",
                got=feature,
                remedy="extract them with `osteomet radiomics extract --data`, and fit it again",
            )
        return signature.image, feature
    for place in (n for n, letter in enumerate(feature) if letter == "_"):
        if feature[place + 1 :] in plain:
            return feature[:place], feature[place + 1 :]
    raise ModelError(
        f"the signature “{signature.name}” has a feature that the settings of its extraction do not give", got=feature
    )
