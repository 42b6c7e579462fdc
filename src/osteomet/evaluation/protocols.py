"""Protocols as data: how each of the five studies counts, and its tables with the figures it published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from osteomet.core.vocabulary import CERVICAL, LUMBAR, THORACIC
from osteomet.evaluation.classified_cases import EXAM_GRADES, TUMOUR_ORIGINS
from osteomet.evaluation.kim2024 import KIM2024_TABLES
from osteomet.evaluation.liu2021 import LIU2021_TABLES
from osteomet.evaluation.matching import RULES, MatchingRule
from osteomet.evaluation.paper_tables import Cell, Ours, PaperTable

Average = Literal["mean over cases", "pooled voxels"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a study counts.

    Parameters
    ----------
    name, citation, doi
        Which study.
    rule
        When a predicted lesion is a hit.
    by_label
        Whether lesions of different labels are different lesions.
    beta
        How many times recall weighs as much as precision in F-beta.
    average
        Whether voxel figures such as ``lesion.dice`` are means over cases or counted over the voxels of all cases.
    tables
        Its tables.
    classes
        Classes of a protocol that evaluates a table of classified cases; empty for those that evaluate label maps.
    decisions
        Where the paper is silent or differs from us, and what we do.
    """

    name: str
    citation: str
    doi: str
    rule: MatchingRule
    by_label: bool = False
    beta: float = 2.0
    average: Average = "mean over cases"
    tables: tuple[PaperTable, ...] = ()
    classes: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()


def _kim2024() -> Protocol:
    return Protocol(
        "kim2024",
        "Kim et al. 2024, Automated Detection and Segmentation of Bone Metastases on Spine MRI Using U-Net: "
        "A Multicenter Study.",
        "10.3348/kjr.2023.0671",
        RULES["kim2024"],
        average="pooled voxels",
        tables=KIM2024_TABLES,
        decisions=(
            "A true positive shares at least 10 voxels with a reference lesion, counted on the grid of the reference.",
            "A series is a case; patients are resampled, so that stacks of one patient stay together.",
        ),
    )


def _edelmers2024() -> Protocol:
    scores = (
        "0.94 0.94 0.75", "0.95 0.95 0.82", "0.93 0.93 0.75", "0.93 0.93 0.75", "0.93 0.94 0.75", "0.93 0.93 0.75",
        "0.94 0.93 0.79", "0.94 0.94 0.81", "0.95 0.95 0.83", "0.95 0.95 0.82", "0.95 0.95 0.83", "0.94 0.94 0.82",
        "0.88 0.87 0.69", "0.87 0.88 0.70", "0.91 0.92 0.75", "0.93 0.93 0.77", "0.94 0.94 0.81", "0.95 0.95 0.85",
        "0.95 0.94 0.84", "0.95 0.94 0.83", "0.94 0.94 0.83", "0.93 0.92 0.81", "0.94 0.89 0.84", "0.95 0.94 0.86",
        "0.96 0.96 0.89",
    )  # fmt: skip
    columns = ("Dice", "F-beta (β = 2)", "Panoptic quality")
    header = tuple(f"{name}, {whose}" for name in columns for whose in ("ours", "published"))

    def row(title: str, label: str, published: str) -> tuple[Cell, ...]:
        dice, f2, pq = published.split()
        return (
            title,
            Ours(f"lesion.dice.{label}"),
            dice,
            Ours(f"detection.f2.{label}"),
            f2,
            Ours(f"detection.pq.{label}"),
            pq,
        )

    vertebrae = (*CERVICAL, *THORACIC, *LUMBAR, "sacrum")
    return Protocol(
        "edelmers2024",
        "Edelmers et al. 2024, Artificial Intelligence Assisted Detection and Localization of Spinal Metastases.",
        "10.20944/preprints202409.0633.v1",
        MatchingRule("iou", 0.5, "hungarian"),
        by_label=True,
        tables=(
            PaperTable(
                "edelmers2024_table2",
                "Table 2. Vertebra detection and instance segmentation (3d_fullres)",
                ("Vertebra", *header),
                tuple(
                    row(name.capitalize() if name == "sacrum" else name, name, published)
                    for name, published in zip(vertebrae, scores, strict=True)
                ),
                "Filled when the label maps hold vertebrae named C1 to L5 and sacrum.",
            ),
            PaperTable(
                "edelmers2024_table3",
                "Table 3. Metastasis instance segmentation (3d_cascade_fullres)",
                ("Metastasis type", *header),
                (row("Lytic", "lytic", "0.71 0.68 0.45"), row("Sclerotic", "sclerotic", "0.61 0.57 0.30")),
                "The head of the paper's table names the cascade, its text the full-resolution configuration.",
            ),
        ),
        decisions=(
            "The paper does not say when an instance is found; we ask for an IoU of at least 0.5, one to one, the "
            "matching of panoptic quality.",
            "Instances are 26-connected components of one label.",
            "Dice is the mean over the scans in which reference or prediction has the label, on whole images.",
        ),
    )


def _liu2021() -> Protocol:
    return Protocol(
        "liu2021",
        "Liu et al. 2021, 3D U-Net for segmentation and detection of pelvic bone metastases in prostate cancer on MRI.",
        "10.3389/fonc.2021.773299",
        RULES["liu2021"],
        tables=LIU2021_TABLES,
        decisions=(
            "A lesion is detected when any voxel overlaps; predicted lesions below 0.2 cm³ are dropped and reference "
            "lesions below it set aside.",
            "A patient is M1 when any series shows a lesion that is left after that.",
            "The columns of a sequence are filled from the cases whose “sequence” in the table is DWI or T1-IP.",
            "p of DSC, VS and HD is of the paired t test, of patients of McNemar's exact test, of areas of DeLong's.",
        ),
    )


def _wangh2024() -> Protocol:
    names = ("AUC (%)", "ACC (%)", "PRE (%)", "REC (%)", "F1 score (%)")
    metrics = tuple(f"classification.{m}.metastasis" for m in ("auc", "accuracy", "precision", "recall", "f1"))
    return Protocol(
        "wangh2024",
        "Wang H. et al. 2024, Contrast-enhanced magnetic resonance image segmentation based on improved U-Net and "
        "Inception-ResNet in the diagnosis of spinal metastases.",
        "",
        RULES["any_overlap"],
        classes=TUMOUR_ORIGINS,
        tables=(
            PaperTable(
                "wangh2024_table2",
                "Table 2. Segmentation by the two methods",
                ("Model", "PA (%)", "IoU (%)", "Dice (%)"),
                (
                    ("ours", *(Ours(f"lesion.{m}", "percent interval") for m in ("accuracy", "iou", "dice"))),
                    ("Improved U-Net method", "98.001", "96.819", "98.384"),
                    ("Region growing algorithm", "91.445", "87.007", "93.052"),
                ),
                "Filled when label maps are given. Pixel accuracy counts the background and grows with the image.",
            ),
            PaperTable(
                "wangh2024_table3",
                "Table 3. Metastasis against primary tumour",
                ("Model", *names),
                (
                    ("ours", *(Ours(m, "percent interval") for m in metrics)),
                    ("Inception-ResNet", "97.86", "98.56", "97.41", "94.34", "95.85"),
                    ("Radiomics model", "76.57", "74.45", "71.51", "70.31", "72.54"),
                ),
                "Table 1 of the paper prints the radiomics figures again, rounded to 0.76, 0.74, 0.71, 0.70 and 0.72. "
                "Their F1 exceeds both precision and recall, which no harmonic mean can.",
            ),
        ),
        decisions=("The positive class is metastasis.",),
    )


def _wangd2023() -> Protocol:
    titles = ("Class0 (Normal)", "Class1 (Mild metastases symptoms)", "Class2 (Significant metastases symptoms)")
    published = (("0.9721", "0.95", "0.97"), ("0.9521", "0.96", "0.96"), ("0.9568", "0.98", "0.95"))
    rows = tuple(
        (
            title,
            *(
                cell
                for metric, figure in zip(("accuracy", "recall", "f1"), figures, strict=True)
                for cell in (Ours(f"classification.{metric}.{grade}"), figure)
            ),
        )
        for title, grade, figures in zip(titles, EXAM_GRADES, published, strict=True)
    )
    return Protocol(
        "wangd2023",
        "Wang D. et al. 2023, Deep learning-based magnetic resonance imaging of the spine in the diagnosis and "
        "physiological evaluation of spinal metastases.",
        "10.1016/j.jbo.2023.100483",
        RULES["any_overlap"],
        classes=EXAM_GRADES,
        tables=(
            PaperTable(
                "wangd2023_table1",
                "Table 1. Performance of each class",
                (
                    "Class",
                    *(f"{name}, {whose}" for name in ("accuracy", "recall", "F1 score") for whose in ("ours", "paper")),
                ),
                rows,
            ),
            PaperTable(
                "wangd2023_accuracy",
                "Accuracy over all classes",
                ("Figure", "ours", "published"),
                (("accuracy", Ours("classification.accuracy"), "0.9645"),),
            ),
        ),
        decisions=("Accuracy of a class is that of the class against the rest.",),
    )


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol("default", "", "", RULES["any_overlap"]),
            _kim2024(),
            _edelmers2024(),
            _liu2021(),
            _wangh2024(),
            _wangd2023(),
        )
    }
)
"""Every protocol by name."""
