"""Sections of a model card that are written after the training, and packages that carry them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from osteomet.core.model import ModelDescription
from osteomet.io.model_package import ModelPackage, write_package

TESTED, CALIBRATED = "What it was tested on", "Calibration"
_BEFORE = "## Limitations"


def with_section(card: str, title: str, body: str) -> str:
    r"""Put a section into a card: in the place of the one of this title, else before the limitations, else at the end.

    Examples
    --------
    >>> print(with_section("# Card\n\n## Limitations\n\nMany.\n", "Calibration", "None."))
    # Card
    <BLANKLINE>
    ## Calibration
    <BLANKLINE>
    None.
    <BLANKLINE>
    ## Limitations
    <BLANKLINE>
    Many.
    <BLANKLINE>
    """
    head, section = f"## {title}\n", f"## {title}\n\n{body.strip()}\n"
    if head in card:
        before, _, rest = card.partition(head)
        at = rest.find("\n## ")
        after = "" if at < 0 else rest[at + 1 :]
    else:
        at = card.find(_BEFORE)
        before, after = (card.rstrip() + "\n\n", "") if at < 0 else (card[:at], card[at:])
    return before + section + ("\n" + after if after else "")


def rewrite_package(
    package: ModelPackage,
    folder: Path,
    *,
    description: ModelDescription,
    card: str,
    pictures: Mapping[str, bytes],
) -> None:
    """Write a package anew with the same weights; pictures are added to those that it has, and replace their like."""
    kept = {**package.pictures, **pictures}
    shown = {name: data for name, data in kept.items() if name in card}
    write_package(description, package.weights, card=card, folder=folder, pictures=shown)
