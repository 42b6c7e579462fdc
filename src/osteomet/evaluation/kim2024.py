"""Tables of Kim et al. 2024 (https://doi.org/10.3348/kjr.2023.0671) with cells of ours."""

from __future__ import annotations

from osteomet.evaluation.paper_tables import Cell, Ours, PaperTable


def _bin_row(title: str, key: str, *published: str) -> tuple[Cell, ...]:
    return title, Ours(f"detection.sensitivity{key}", "count"), *published


_SEGMENTATION = PaperTable(
    "kim2024_table2",
    "Table 2. Segmentation performance at external test",
    ("Model", "Dice coefficient", "Pixel-wise recall", "Pixel-wise precision"),
    (
        ("ours", Ours("lesion.dice"), Ours("lesion.recall"), Ours("lesion.precision")),
        ("T1 + CE", "0.699 (0.695–0.702)", "0.653 (0.651–0.655)", "0.752 (0.750–0.754)"),
        ("T1", "0.570 (0.568–0.572)", "0.465 (0.463–0.467)", "0.736 (0.734–0.738)"),
        ("CE", "0.409 (0.404–0.413)", "0.410 (0.408–0.412)", "0.408 (0.406–0.410)"),
    ),
    "The paper's intervals resample pixels and are narrow for it; ours resample patients.",
)
_COLUMNS = ("T1 + CE internal", "T1 + CE external", "T1 internal", "T1 external", "CE internal", "CE external")
# fmt: off
_SENSITIVITY = PaperTable(
    "kim2024_table3",
    "Table 3. Per-lesion sensitivity for metastasis detection",
    ("Lesion volume (cm³)", "ours", *_COLUMNS),
    (
        _bin_row("≤ 0.5", ".le_0_5_ml", "0.457 (37/81)", "0.667 (16/24)", "0.136 (11/81)", "0.542 (13/24)",
                 "0.296 (24/81)", "0.333 (8/24)"),
        _bin_row("> 0.5 to ≤ 1.0", ".gt_0_5_le_1_ml", "0.814 (179/220)", "0.743 (26/35)", "0.450 (99/220)",
                 "0.686 (24/35)", "0.459 (101/220)", "0.600 (21/35)"),
        _bin_row("> 1.0 to ≤ 2.0", ".gt_1_le_2_ml", "0.915 (183/200)", "0.794 (27/34)", "0.705 (141/200)",
                 "0.735 (25/34)", "0.725 (145/200)", "0.588 (20/34)"),
        _bin_row("> 2.0", ".gt_2_ml", "0.990 (98/99)", "0.988 (81/82)", "0.980 (97/99)", "0.890 (73/82)",
                 "0.889 (88/99)", "0.927 (76/82)"),
        _bin_row("Total", "", "0.828 (497/600)", "0.857 (150/175)", "0.580 (348/600)", "0.771 (135/175)",
                 "0.597 (358/600)", "0.714 (125/175)"),
    ),
)
_DETECTION = PaperTable(
    "kim2024_table4",
    "Table 4. Detection performance of the models and radiologists in the external test",
    ("Figure", "ours", "T1 + CE", "T1", "CE", "Radiologists (mean of five)", "our readers (mean)"),
    (
        ("Per-lesion sensitivity", Ours("detection.sensitivity"), "0.857 (0.805–0.909)", "0.771 (0.709–0.834)",
         "0.714 (0.647–0.781)", "0.746 (0.543–0.960)", Ours("readers.sensitivity")),
        ("Per-lesion positive predictive value", Ours("detection.ppv"), "0.794 (0.766–0.821)",
         "0.708 (0.678–0.739)", "0.409 (0.388–0.429)", "0.701 (0.511–0.882)", Ours("readers.ppv")),
        ("Average number of FP per series", Ours("detection.fp_per_case"), "0.384 (0.328–0.439)",
         "0.797 (0.715–0.879)", "2.263 (2.114–2.412)", "1.338 (-0.071–2.833)", Ours("readers.fp_per_series")),
    ),
    "Table 4 and the text of the paper disagree about the PPV of T1 (0.708 and 0.771); the table is shown. Its "
    "intervals of sensitivity are Wald's over lesions, taken as independent; ours resample patients.",
)
# fmt: on

KIM2024_TABLES = (_SEGMENTATION, _SENSITIVITY, _DETECTION)
"""Tables of the paper, in its order."""
