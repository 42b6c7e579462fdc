"""Tables of Liu et al. 2021 (https://doi.org/10.3389/fonc.2021.773299) with cells of ours.

The paper's sequences are DWI and T1WI-IP; ours are the cases whose ``sequence`` is ``DWI`` or ``T1-IP``.
"""

from __future__ import annotations

from osteomet.evaluation.paper_tables import Cell, Form, Ours, PaperTable

_PARTS = (
    ("Training set", "train"),
    ("Validation set", "validation"),
    ("Testing set", "test"),
    ("External", "external"),
)
_SEQUENCES = ("DWI", "T1-IP")
_PAIR = ".".join(_SEQUENCES)
_OURS = ("ours", "ours, DWI", "ours, T1-IP", "ours, p")
_STRUCTURES = (
    ("Lumbar vertebra", "0.89 ± 0.05 | 0.93 ± 0.03 | 0.001 | 0.94 ± 0.06 | 0.96 ± 0.06 | 0.034 | 11.45 ± 3.54 | "
     "10.63 ± 4.66 | 0.258"),
    ("Sacrococcyx", "0.88 ± 0.04 | 0.93 ± 0.02 | 0.001 | 0.96 ± 0.03 | 0.98 ± 0.02 | 0.001 | 13.36 ± 4.79 | "
     "9.56 ± 4.53 | 0.001"),
    ("Ilium", "0.88 ± 0.03 | 0.94 ± 0.02 | 0.001 | 0.97 ± 0.02 | 0.99 ± 0.02 | 0.001 | 13.34 ± 4.15 | 8.50 ± 3.30 | "
     "0.001"),
    ("Acetabulum", "0.85 ± 0.04 | 0.90 ± 0.03 | 0.001 | 0.94 ± 0.05 | 0.96 ± 0.04 | 0.017 | 14.95 ± 6.04 | "
     "10.17 ± 5.60 | 0.001"),
    ("Femoral head", "0.90 ± 0.04 | 0.94 ± 0.03 | 0.001 | 0.95 ± 0.04 | 0.97 ± 0.02 | 0.001 | 9.00 ± 2.90 | "
     "4.77 ± 1.51 | 0.001"),
    ("Femoral neck", "0.88 ± 0.04 | 0.95 ± 0.03 | 0.001 | 0.96 ± 0.04 | 0.98 ± 0.05 | 0.015 | 12.39 ± 4.40 | "
     "8.50 ± 5.51 | 0.001"),
    ("Ischium", "0.86 ± 0.04 | 0.90 ± 0.03 | 0.001 | 0.93 ± 0.05 | 0.96 ± 0.04 | 0.001 | 14.88 ± 6.92 | 14.62 ± 6.27 | "
     "0.295"),
    ("Pubis", "0.86 ± 0.05 | 0.88 ± 0.04 | 0.022 | 0.92 ± 0.06 | 0.94 ± 0.05 | 0.074 | 14.72 ± 7.08 | 10.60 ± 4.58 | "
     "0.001"),
)  # fmt: skip
_VOXEL_FIGURES = (
    ("dsc", "DSC", "dice"),
    ("vs", "volumetric similarity", "volumetric_similarity"),
    ("hd", "Hausdorff distance (mm)", "hausdorff_mm"),
)


def _characteristics(name: str, title: str, rows: tuple[tuple[str, str, Form, str], ...]) -> PaperTable:
    """Table of patients: of each row its title, our metric with ``{}`` for the part, form, and the published cells."""
    columns = [f"{part}, {whose}" for part, _ in _PARTS for whose in ("ours", "published")]
    columns += [f"p {of}, {whose}" for of in ("development", "external") for whose in ("ours", "published")]
    filled = []
    for row_title, metric, form, cells in rows:
        *published, development, external = cells.split(" | ")
        cell: list[Cell] = [row_title]
        for (_, part), figure in zip(_PARTS, published, strict=True):
            cell += [Ours(metric.format(part), form), figure]
        start = metric.rsplit(".", 2)[0]
        for end, p in (("p_development", development), ("p_external", external)):
            cell += [Ours(f"{start}.{end}", "value") if p != "-" else "-", p]
        filled.append(tuple(cell))
    note = (
        "Ours from the table of cases: “split” with train, validation, test and external; “age”, “t_psa”, “f_psa”, "
        "“ft_psa”, “scanner”. Metastases and lesions are those of the references given. p: one-way ANOVA; the external "
        "set against all others together."
    )
    return PaperTable(name, title, ("Characteristic", *columns), tuple(filled), note)


_PSA = ("demographics.t_psa.median.{}", "demographics.f_psa.median.{}", "demographics.ft_psa.median.{}")
_SCANNERS = ("3_0_T_Discovery", "3_0_T_Achieva", "3_0_T_Intera")
# fmt: off
_TABLE_2 = _characteristics(
    "liu2021_table2",
    "Table 2. Characteristics of patients for the pelvic bony structure segmentation model",
    (
        ("Age (mean ± SD)", "demographics.age.mean.{}", "mean sd",
         "68.3 ± 10.5 | 67.6 ± 10.9 | 67.8 ± 11.7 | 70.7 ± 8.1 | 0.756 | 0.062"),
        ("No. of patients", "demographics.patients.{}", "n", "683 | 88 | 88 | 68 | - | -"),
        ("With bone metastases", "demographics.metastases.yes.{}", "n", "184 | 23 | 23 | 34 | - | -"),
        ("Without bone metastases", "demographics.metastases.no.{}", "n", "224 | 16 | 18 | 34 | - | -"),
        ("T-PSA (ng/ml)", _PSA[0], "median", "10.49 (7.11–15.99) | 9.73 (8.46–12.68) | 11.19 (7.44–15.75) | "
         "12.25 (8.89–26.92) | 0.556 | 0.199"),
        ("F-PSA (ng/ml)", _PSA[1], "median", "1.95 (1.04–6.71) | 2.07 (1.08–5.78) | 2.19 (1.02–5.46) | "
         "1.65 (1.05–5.26) | 0.266 | 0.112"),
        ("F/T-PSA", _PSA[2], "median", "0.12 (0.09–0.17) | 0.10 (0.07–0.20) | 0.10 (0.08–0.18) | 0.12 (0.09–0.18) | "
         "0.587 | 0.399"),
        ("3.0 T Discovery", f"demographics.scanner.{_SCANNERS[0]}.{{}}", "n", "417 | 56 | 57 | 31 | - | -"),
        ("3.0 T Achieva", f"demographics.scanner.{_SCANNERS[1]}.{{}}", "n", "133 | 17 | 15 | 13 | - | -"),
        ("3.0 T Intera", f"demographics.scanner.{_SCANNERS[2]}.{{}}", "n", "134 | 15 | 16 | 24 | - | -"),
    ),
)
_TABLE_3 = _characteristics(
    "liu2021_table3",
    "Table 3. Characteristics of patients for the bone metastases model",
    (
        ("Age (mean ± SD)", "demographics.age.mean.{}", "mean sd",
         "69.6 ± 10.4 | 65.9 ± 11.2 | 68.7 ± 8.9 | 70.7 ± 8.1 | 0.548 | 0.268"),
        ("No. of patients", "demographics.patients.{}", "n", "266 | 34 | 34 | 63 | - | -"),
        ("With bone metastases", "demographics.metastases.yes.{}", "n", "134 | 18 | 16 | 31 | - | -"),
        ("Without bone metastases", "demographics.metastases.no.{}", "n", "132 | 16 | 18 | 32 | - | -"),
        ("T-PSA (ng/ml)", _PSA[0], "median", "13.04 (9.10–20.1) | 12.65 (10.13–18.50) | 13.95 (12.95–23.5) | "
         "12.25 (8.89–26.92) | 0.305 | 0.941"),
        ("F-PSA (ng/ml)", _PSA[1], "median", "1.29 (1.01–5.41) | 1.36 (1.08–4.38) | 1.48 (1.07–4.73) | "
         "1.65 (1.05–5.26) | 0.993 | 0.091"),
        ("F/T-PSA", _PSA[2], "median", "0.07 (0.09–0.18) | 0.09 (0.07–0.16) | 0.09 (0.04–0.11) | 0.12 (0.09–0.18) | "
         "0.356 | 0.573"),
        ("Volume of metastases (cm³)", "demographics.lesion_volume_ml.median.{}", "median",
         "7.50 (5.47–31.60) | 7.98 (2.72–31.75) | 8.05 (2.98–31.03) | 7.39 (1.23–28.23) | 0.945 | 0.645"),
        ("1 lesion", "demographics.lesions.1_lesion.{}", "n", "30 | 4 | 2 | 5 | - | -"),
        ("2–3 lesions", "demographics.lesions.2_3_lesions.{}", "n", "36 | 6 | 5 | 6 | - | -"),
        ("4–5 lesions", "demographics.lesions.4_5_lesions.{}", "n", "24 | 4 | 4 | 8 | - | -"),
        ("> 5 lesions", "demographics.lesions.gt_5_lesions.{}", "n", "44 | 4 | 5 | 12 | - | -"),
        ("3.0 T Discovery", f"demographics.scanner.{_SCANNERS[0]}.{{}}", "n", "172 | 17 | 20 | 31 | - | -"),
        ("3.0 T Achieva", f"demographics.scanner.{_SCANNERS[1]}.{{}}", "n", "71 | 10 | 8 | 13 | - | -"),
        ("3.0 T Intera", f"demographics.scanner.{_SCANNERS[2]}.{{}}", "n", "23 | 7 | 6 | 24 | - | -"),
    ),
)
# fmt: on


def _ours(metric: str, form: Form, test: str) -> tuple[Cell, ...]:
    """Our figure over all cases, of each sequence, and p between the two; ``test`` begins the name of p."""
    p: Cell = Ours(f"p.{test}.{metric}.{_PAIR}", "value") if test else "-"
    return (Ours(metric, form), *(Ours(f"{metric}.sequence.{name}", form) for name in _SEQUENCES), p)


def _table_4(n: int, key: str, title: str, metric: str) -> PaperTable:
    """One of the three figures of the paper's Table 4."""
    rows = []
    for structure, published in _STRUCTURES:
        label = structure.lower().replace(" ", "_")
        figures = published.split(" | ")[3 * n : 3 * n + 3]
        rows.append((structure, *_ours(f"lesion.{metric}.{label}", "mean sd", "paired_t"), *figures))
    return PaperTable(
        f"liu2021_table4_{key}",
        f"Table 4. Segmentation performance of pelvic bony structures, {title}",
        ("Bony structure", *_OURS, "DWI", "T1WI-IP", "p, published"),
        tuple(rows),
        "Filled when the label maps hold these structures. Mean ± standard deviation over cases. The paper prints "
        "0.001 for smaller p values too.",
    )


def _patient_row(title: str, name: str, *published: str) -> tuple[Cell, ...]:
    return ("Patient", title, *_ours(f"patient.{name}", "percent interval", _MCNEMAR.get(name, "")), *published)


_MCNEMAR = dict.fromkeys(("sensitivity", "specificity", "accuracy"), "mcnemar_exact")


def _subgroup(
    title: str, key: str, recall: tuple[str, str], precision: tuple[str, str]
) -> tuple[tuple[Cell, ...], ...]:
    figures = (("Recall (%)", "sensitivity", recall), ("Precision (%)", "ppv", precision))
    return tuple(
        (title, name, Ours(f"detection.{figure}.{key}", "percent count"), "", "", "", *published, "")
        for name, figure, published in figures
    )


# fmt: off
_TABLE_5 = PaperTable(
    "liu2021_table5",
    "Table 5. Detection accuracy of bone metastases at patient and lesion levels",
    ("Level", "Metric", *_OURS, "DWI", "T1WI-IP", "p, published"),
    (
        _patient_row("Sensitivity (%)", "sensitivity", "87.5 (61.7–98.4)", "81.3 (54.4–96.0)", "0.847"),
        _patient_row("Specificity (%)", "specificity", "83.3 (58.6–96.4)", "77.8 (52.4–93.6)", "0.852"),
        _patient_row("Accuracy (%)", "accuracy", "85.3 (68.9–95.1)", "79.4 (62.1–89.9)", "0.789"),
        _patient_row("PPV (%)", "ppv", "82.4 (56.6–96.2)", "76.5 (50.1–93.2)", "0.847"),
        _patient_row("NPV (%)", "npv", "88.2 (63.6–98.6)", "82.4 (56.6–96.2)", "0.852"),
        ("Patient", "AUC of the M0/M1 calls", *_ours("patient.auc_of_calls", "interval", "delong"),
         "0.85 (0.69–0.95)", "0.80 (0.62–0.91)", "0.442"),
        ("Lesion", "Recall (%)", *_ours("detection.sensitivity", "percent count", "patient_bootstrap"),
         "91.01 (81/89)", "88.76 (79/89)", "0.874"),
        ("Lesion", "Precision (%)", *_ours("detection.ppv", "percent count", "patient_bootstrap"),
         "84.38 (81/96)", "86.81 (79/91)", "0.857"),
        ("Lesion", "F1 score (%)", Ours("detection.f1", "percent"), "", "", "", "87.6", "87.8", "-"),
        *_subgroup("1 lesion", "1_lesion", ("100 (2/2)", "100 (2/2)"), ("100 (2/2)", "100 (2/2)")),
        *_subgroup("2–3 lesions", "2_3_lesions", ("92.9 (13/14)", "85.7 (12/14)"), ("86.7 (13/15)", "85.7 (12/14)")),
        *_subgroup("4–5 lesions", "4_5_lesions", ("94.7 (18/19)", "84.2 (16/19)"), ("85.7 (18/21)", "88.9 (16/18)")),
        *_subgroup("> 5 lesions", "gt_5_lesions", ("88.9 (48/54)", "90.7 (49/54)"), ("82.8 (48/58)", "85.9 (49/57)")),
    ),
    "Patient-level intervals are Clopper–Pearson, as the paper's. Its AUC equals half the sum of sensitivity and "
    "specificity, that is the area of the yes/no calls; its interval is binomial exact, ours DeLong's. Its p values of "
    "PPV and NPV are called McNemar's, which does not apply to them; our p of lesions resamples patients.",
)
_EXTERNAL = PaperTable(
    "liu2021_external",
    "Detection and segmentation of metastases: testing set and external set",
    ("Figure", *_OURS, "DWI, test", "T1WI-IP, test", "DWI, external", "T1WI-IP, external"),
    (
        ("DSC of lesions", *_ours("lesion.dice", "mean sd", "paired_t"), "0.79 ± 0.05", "0.80 ± 0.06", "0.79 ± 0.06",
         "0.81 ± 0.06"),
        ("VS of lesions", *_ours("lesion.volumetric_similarity", "mean sd", "paired_t"), "0.84 ± 0.09", "0.85 ± 0.08",
         "0.83 ± 0.08", "0.82 ± 0.07"),
        ("HD of lesions (mm)", *_ours("lesion.hausdorff_mm", "mean sd", "paired_t"), "15.05 ± 3.61", "13.39 ± 3.20",
         "16.03 ± 9.74", "17.20 ± 6.73"),
        ("Lower limit of agreement of volume (cm³)", *_ours("volume.lower_limit_ml", "value", ""),
         "−8.4", "−4.4", "–", "–"),
        ("Upper limit of agreement of volume (cm³)", *_ours("volume.upper_limit_ml", "value", ""),
         "6.6", "4.4", "–", "–"),
        ("M-staging, sensitivity (%)", *_ours("patient.sensitivity", "percent interval", "mcnemar_exact"),
         "87.5 (61.7–98.4)", "81.3 (54.4–96.0)", "93.6 (78.6–99.2)", "87.1 (70.2–96.4)"),
        ("M-staging, specificity (%)", *_ours("patient.specificity", "percent interval", "mcnemar_exact"),
         "83.3 (58.6–96.4)", "77.8 (52.4–93.6)", "93.8 (79.6–99.2)", "90.6 (75.0–98.0)"),
        ("M-staging, AUC of the calls", *_ours("patient.auc_of_calls", "interval", "delong"), "0.85 (0.69–0.95)",
         "0.80 (0.62–0.91)", "0.94 (0.85–0.98)", "0.89 (0.85–0.98)"),
    ),
    "The paper prints one interval, 0.85–0.98, for both external areas.",
)
_OBSERVERS = PaperTable(
    "liu2021_observers",
    "Inter- and intra-observer agreement of annotations (DSC)",
    ("Rounds", "ours", "DWI", "T1WI-IP"),
    (
        ("A1.1 against A2.1", Ours("observers.dice.A1_1.A2_1", "mean sd"), "0.90 ± 0.08", "0.89 ± 0.09"),
        ("A1.1 against A1.2", Ours("observers.dice.A1_1.A1_2", "mean sd"), "0.91 ± 0.09", "0.90 ± 0.09"),
        ("A2.1 against A2.2", Ours("observers.dice.A2_1.A2_2", "mean sd"), "0.94 ± 0.05", "0.97 ± 0.04"),
        ("A1.2 against A2.2", Ours("observers.dice.A1_2.A2_2", "mean sd"), "0.91 ± 0.08", "0.92 ± 0.08"),
    ),
    "The paper prints A1.1 against A2.1 twice; by its methods the second is A1.1 against A1.2. Filled when annotation "
    "rounds of these names are given.",
)
# fmt: on

LIU2021_TABLES = (
    _TABLE_2,
    _TABLE_3,
    *(_table_4(n, *figure) for n, figure in enumerate(_VOXEL_FIGURES)),
    _OBSERVERS,
    _TABLE_5,
    _EXTERNAL,
)
"""Tables of the paper, in its order."""
