"""Packages given to an analysis: what they say is what their own commands say, and what does not fit is refused."""

import csv
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import jsonschema
import pytest
from tests.conftest import Analysed, Osteomet, run_main
from tests.pipeline.lesion_set import write_lesions

from osteomet.core.classification import ClassifierKind
from osteomet.core.findings import Findings, findings_schema, from_json

SIGNATURE = "n_folds = 3\nn_repeats = 1\nn_inner_folds = 3\nn_penalties = 10\nn_resamples = 3\nname = 'toy'\n"
NETWORKS = "side = 16\nedge_mm = 3.0\nblocks = [1, 1, 1]\nn_members = 2\nn_folds = 3\nn_steps = 6\nname = 'toy'\n"
SMALL = 'log_sigmas_mm = []\nwavelet = "none"\n'
CLASSES = ("metastasis", "primary")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class Packages:
    """A signature and an ensemble of networks for CT, and the settings of the features."""

    signature: Path
    networks: Path
    settings: Path


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Fitted by command to lesions of noise, of which metastases are bright in the channel CT."""
    folder = tmp_path_factory.mktemp("packages")
    data = write_lesions(folder / "data", n_patients=12)
    document = json.loads((data / "dataset.json").read_text())
    document["channel_names"]["0"] = "CT"
    (data / "dataset.json").write_text(json.dumps(document))
    for name, text in (("signature", SIGNATURE), ("networks", NETWORKS + "channels = ['CT']\n"), ("features", SMALL)):
        (folder / f"{name}.toml").write_text(text)
    table, settings = folder / "features.csv", folder / "features.toml"
    extract = ("radiomics", "extract", "--data", data, "--channel", 0, "--settings", settings, "--out", table)
    assert run_main(*extract) == 0
    labels = ("--labels", data / "cases.csv", "--settings", folder / "signature.toml")
    assert run_main("radiomics", "fit", "--features", table, *labels, "--out", folder / "signature") == 0
    how = ("--task", "lesion", "--settings", folder / "networks.toml", "--device", "cpu")
    assert run_main("classify", "fit", "--data", data, *how, "--out", folder / "networks") == 0
    return Packages(folder / "signature", folder / "networks" / "package", settings)


@dataclass(frozen=True)
class Joined:
    """The phantom analysed with both packages."""

    out: Path
    findings: Findings
    printed: str


@pytest.fixture(scope="module")
def joined(analysed: Analysed, packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Joined:
    import contextlib
    import io

    out, printed = tmp_path_factory.mktemp("joined") / "out", io.StringIO()
    given = ("--classifier", packages.signature, "--classifier", packages.networks)
    with contextlib.redirect_stdout(printed):
        assert run_main("analyze", analysed.source, "--out", out, "--device", "cpu", *given) == 0
    return Joined(out, from_json((out / "findings.json").read_text(encoding="utf-8")), printed.getvalue())


def test_a_signature_says_what_its_own_commands_say(
    analysed: Analysed, packages: Packages, joined: Joined, tmp_path: Path
) -> None:
    image = ("--image", analysed.source, "--mask", joined.out / "lesions.nii.gz", "--settings", packages.settings)
    assert run_main("radiomics", "extract", *image, "--out", tmp_path / "f.csv") == 0
    scores = ("--model", packages.signature, "--features", tmp_path / "f.csv", "--out", tmp_path / "s.csv")
    assert run_main("radiomics", "predict", *scores) == 0
    expected = {row["lesion"]: row for row in rows(tmp_path / "s.csv")}
    assert len(expected) == len(joined.findings.lesions) >= 2
    for lesion in joined.findings.lesions:
        one = lesion.classifications[0]
        assert (one.kind, one.package, one.prediction) == (
            ClassifierKind.SIGNATURE,
            "toy",
            expected[str(lesion.id)]["prediction"],
        )
        assert one.probabilities is not None
        for label in CLASSES:
            assert one.probabilities[label] == pytest.approx(
                float(expected[str(lesion.id)][f"probability_{label}"]), abs=6e-5
            )


def test_networks_say_what_their_own_command_says(
    analysed: Analysed, packages: Packages, joined: Joined, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    for name in ("imagesTr", "instancesTr"):
        (data / name).mkdir(parents=True)
    shutil.copy(analysed.source, data / "imagesTr" / "scan_0000.nii.gz")
    shutil.copy(joined.out / "lesions.nii.gz", data / "instancesTr" / "scan.nii.gz")
    (data / "dataset.json").write_text('{"channel_names": {"0": "CT"}, "labels": {"background": 0}}')
    arguments = ("--model", packages.networks, "--input", data, "--out", tmp_path / "c.csv", "--device", "cpu")
    assert run_main("classify", "predict", *arguments) == 0
    expected = {row["lesion"]: row for row in rows(tmp_path / "c.csv")}
    for lesion in joined.findings.lesions:
        one = lesion.classifications[1]
        assert (one.kind, one.prediction) == (ClassifierKind.NETWORKS, expected[str(lesion.id)]["prediction"])
        assert one.probabilities is not None
        for label in CLASSES:
            assert one.probabilities[label] == pytest.approx(
                float(expected[str(lesion.id)][f"probability_{label}"]), abs=6e-5
            )


def test_all_else_stays_as_it_was(analysed: Analysed, joined: Joined) -> None:
    before = from_json((analysed.out / "findings.json").read_text(encoding="utf-8"))
    assert tuple(replace(lesion, classifications=()) for lesion in joined.findings.lesions) == before.lesions
    assert joined.findings.exam == before.exam
    assert before.provenance.classifiers == ()


def test_every_output_has_them(packages: Packages, joined: Joined) -> None:
    document = json.loads((joined.out / "findings.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(findings_schema()).validate(document)
    used = document["provenance"]["classifiers"]
    stated = json.loads((packages.signature / "signature.json").read_text())["sha256"]
    assert [(one["kind"], one["package"], one["images"]) for one in used] == [
        ("signature", "toy", ["CT"]),
        ("networks", "toy", ["CT"]),
    ]
    assert used[0]["sha256"] == stated
    report = (joined.out / "report.html").read_text(encoding="utf-8")
    log = (joined.out / "run.log").read_text(encoding="utf-8")
    table = rows(joined.out / "lesions.csv")
    for lesion, row in zip(joined.findings.lesions, table, strict=True):
        for one in lesion.classifications:
            assert one.probabilities is not None
            for label, share in one.probabilities.items():
                assert row[f"{one.kind.value}.toy.{label}"] == str(share)
            shares = [f"{label} {share:.2f}" for label, share in one.probabilities.items()]
            assert f"By the {one.kind.value} toy {one.version}: {', '.join(shares)}." in report
            assert f"lesion {lesion.id} by {one.kind.value} toy: metastasis " in log
    assert f"classifier: signature toy 0.1.0 ({stated[:12]}) on CT" in log
    called = [lesion.classifications[0].prediction for lesion in joined.findings.lesions]
    parts = [f"{called.count(label)} {label}" for label in CLASSES if label in called]
    assert f"Lesions by the signature toy 0.1.0: {' and '.join(parts)}." in joined.printed
    assert stated in report


@pytest.mark.parametrize(
    ("which", "code", "message"),
    [
        ("default-ct", 4, "classifies neither lesions nor exams"),
        ("nowhere", 4, "there is no model 'nowhere'"),
        ("changed", 4, "is damaged or was changed"),
        ("unknown image", 4, "it is not known which image the features of the signature “toy” are computed on"),
        ("unknown settings", 4, "it is not known with which settings the features of the signature “toy” are computed"),
        ("unknown channel", 4, "takes an image that cannot be told among the series of a study"),
        ("other sequence", 3, "the study lacks what the signature package “toy” needs; expected T1"),
        ("maps", 3, "expected dynamic, for peak_enhancement"),
        ("twice", 2, "two classifiers of one kind have one name"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    which: str, code: int, message: str, analysed: Analysed, packages: Packages, tmp_path: Path, osteomet: Osteomet
) -> None:
    from osteomet.io.signature_file import read_signature, write_signature

    signature = read_signature(packages.signature).signature
    maps = tuple(replace(term, feature=f"peak_enhancement_{term.feature}") for term in signature.terms)
    made = {
        "unknown image": replace(signature, image=None),
        "unknown settings": replace(signature, extraction=None),
        "unknown channel": replace(signature, image="wash_in"),
        "other sequence": replace(signature, image="T1"),
        "maps": replace(signature, terms=maps),
    }
    given: list[object] = [which]
    if which in made:
        write_signature(made[which], tmp_path / "signature.json")
        given = [tmp_path / "signature.json"]
    elif which == "changed":
        text = (packages.signature / "signature.json").read_text(encoding="utf-8")
        (tmp_path / "signature.json").write_text(text.replace('"slope": ', '"slope": 1'), encoding="utf-8")
        given = [tmp_path]
    elif which == "twice":
        given = [packages.signature, packages.signature]
    arguments = [word for one in given for word in ("--classifier", one)]
    outcome = osteomet("analyze", analysed.source, "--out", tmp_path / "new" / "out", *arguments)
    assert outcome.code == code, outcome.err
    assert message in outcome.err
    assert not (tmp_path / "new").exists()


def test_the_signature_keeps_the_name_of_its_channel(packages: Packages) -> None:
    content = json.loads((packages.signature / "signature.json").read_text())["signature"]
    assert content["image"] == "CT"
