"""The main job: a study in, findings out. The only place that knows the order of its steps."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import generate_uid

from osteomet import __version__
from osteomet.core.errors import InputError
from osteomet.core.findings import (
    Abstention,
    Exam,
    ExamGrade,
    Findings,
    LevelFinding,
    MStage,
    Provenance,
    StudyFacts,
    to_json,
)
from osteomet.core.lesion import Lesion
from osteomet.core.vocabulary import STRUCTURES, LesionType, SequenceRole
from osteomet.core.volume import LabelMap
from osteomet.inference.cascade import CascadeResult, bring_instances, run_cascade
from osteomet.io.formats import write_labels
from osteomet.io.model_package import ModelPackage, find_package, read_package
from osteomet.io.output import output_folder
from osteomet.io.study import Study, StudySeries, read_study
from osteomet.lesions.anatomy import read_anatomy
from osteomet.lesions.candidates import CandidateSettings, compute_confidences, find_instances
from osteomet.lesions.characterise import characterise_lesions
from osteomet.lesions.levels import describe_levels
from osteomet.lesions.locate import locate_lesions
from osteomet.lesions.measure import measure_lesions
from osteomet.report.page import write_report

Progress = Callable[[str, int, int], None]
"""Called with the name of a step, how much of it is done, and how much there is."""
