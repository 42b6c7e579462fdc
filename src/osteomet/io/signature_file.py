"""Fitted signatures on disk: one JSON file with the SHA-256 of its content.

The file is data. Nothing in it is executed or unpickled; what was truncated, changed or made for another format is
refused.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from osteomet.core.errors import ModelError
from osteomet.core.signature import SIGNATURE_FORMAT, Signature

SIGNATURE_FILE = "signature.json"
MAXIMUM_BYTES = 16 * 2**20
"""Largest file that is read."""

_FETCH_AGAIN = "get the file again from where it came and change nothing in it, or run `osteomet radiomics fit` again"
_ADAPTER: TypeAdapter[Signature] = TypeAdapter(Signature)


@dataclass(frozen=True, slots=True)
class SignaturePackage:
    """A signature whose file is what it claims to be, and the SHA-256 of its content."""

    signature: Signature
    sha256: str


def write_signature(signature: Signature, path: Path) -> str:
    """Write a signature and return the SHA-256 of its content.

    Raises
    ------
    ModelError
        If the signature contradicts itself.
    """
    _check(signature)
    content = asdict(signature)
    sha256 = _hash(content)
    document = {"format": SIGNATURE_FORMAT, "sha256": sha256, "signature": content}
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    return sha256


def read_signature(path: Path) -> SignaturePackage:
    """Read and check a signature.

    Parameters
    ----------
    path
        The file, or a folder with a ``signature.json``, as `osteomet radiomics fit` makes it.

    Raises
    ------
    ModelError
        If there is no such file, it is no JSON, follows another format, differs from its SHA-256, or contradicts
        itself.
    """
    file = path / SIGNATURE_FILE if path.is_dir() else path
    document = _parse(file)
    found = document.get("format") if isinstance(document, dict) else None
    if found != SIGNATURE_FORMAT:
        raise ModelError(
            f"{file} is not a signature of this format", expected=repr(SIGNATURE_FORMAT), got=repr(found)[:80]
        )
    content, stated = document.get("signature"), document.get("sha256")
    sha256 = _hash(content)
    if sha256 != stated:
        raise ModelError(
            f"{file} is damaged or was changed", expected=f"SHA-256 {stated}", got=sha256, remedy=_FETCH_AGAIN
        )
    try:
        signature = _ADAPTER.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ModelError(f"{file} does not fit its format", got=f"{first['msg']} at {place}") from error
    _check(signature)
    return SignaturePackage(signature, sha256)


def _parse(file: Path) -> Any:
    """Content of a JSON file of finite numbers."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no number")

    if not file.is_file():
        raise ModelError(f"there is no signature at {file}", remedy="make one with `osteomet radiomics fit`")
    try:
        if file.stat().st_size > MAXIMUM_BYTES:
            raise ModelError(f"{file} is larger than any signature", expected=f"at most {MAXIMUM_BYTES} bytes")
        return json.loads(file.read_text(encoding="utf-8"), parse_constant=refuse)
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read as JSON", got=str(error), remedy=_FETCH_AGAIN) from error


def _hash(content: Any) -> str:
    """SHA-256 of content, whatever the order of its keys and its white space."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


def _check(signature: Signature) -> None:
    """Refuse a signature that contradicts itself."""
    terms = signature.terms
    numbers = [signature.intercept, signature.slope, *(x for t in terms for x in (t.centre, t.scale, t.coefficient))]
    rules = {
        "two different classes": all(signature.classes) and len(set(signature.classes)) == 2,
        "each feature once": len({term.feature for term in terms}) == len(terms),
        "finite numbers": all(math.isfinite(number) for number in numbers),
        "positive standard deviations": all(term.scale > 0 for term in terms),
        "a slope that is not negative": signature.slope >= 0,
        "a prevalence between 0 and 1": 0 < signature.prevalence < 1,
    }
    for rule, holds in rules.items():
        if not holds:
            raise ModelError(f"the signature “{signature.name}” contradicts itself", expected=rule)
