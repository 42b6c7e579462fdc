"""A package imports only from layers below it; packages of one layer never import each other."""

import ast
from pathlib import Path

import osteomet

ROOT = Path(osteomet.__file__).parent
LAYERS = (
    {"core"},
    {"image", "stats"},
    {"io", "lesions", "radiomics", "phantom", "nn"},
    {"inference", "evaluation", "dicom", "followup"},
    {"training", "report"},
    {"pipeline"},
    {"cli", "service"},
)
LEVEL = {package: level for level, packages in enumerate(LAYERS) for package in packages}
PHANTOM_ROOMS = (
    {"geometry"},
    {"skeleton"},
    {"soft_tissue", "lesions"},
    {"labelled_body"},
    {"body"},
    {"scene"},
    {"truth"},
    {"ct", "mr", "insertion"},
    {"cohorts"},
)
PHANTOM_LEVEL = {room: level for level, rooms in enumerate(PHANTOM_ROOMS) for room in rooms}
# A heavy library stays in the rooms that need it, so that everything else starts fast and is tested without it.
ROOMS = {
    "torch": {"nn", "inference", "training"},
    "nnunetv2": {"training"},
    "openvino": {"inference"},
    "highdicom": {"io", "dicom"},
    "pydicom": {"io", "dicom"},
    "pynetdicom": {"io", "dicom", "service"},
    "matplotlib": {"report"},
    "typer": {"cli"},
    "rich": {"cli"},
    "fastapi": {"service"},
}


def imports_of(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports, at its top or inside its functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            names.add(node.module)
            if node.module == "osteomet":
                names |= {f"osteomet.{alias.name}" for alias in node.names}
    return names


def violations(package: str, names: set[str]) -> list[str]:
    found = []
    for name in names:
        parts = name.split(".")
        if parts[0] == "osteomet" and len(parts) > 1 and parts[1] in LEVEL and parts[1] != package:
            if LEVEL[parts[1]] >= LEVEL[package]:
                found.append(f"{package} imports {name}, which is not in a layer below")
        elif parts[0] in ROOMS and package not in ROOMS[parts[0]]:
            found.append(f"{package} imports {parts[0]}, which belongs in {sorted(ROOMS[parts[0]])}")
    return found


def test_every_package_has_a_layer() -> None:
    packages = {p.parent.name for p in ROOT.glob("*/__init__.py")}
    assert packages <= set(LEVEL), packages - set(LEVEL)


def test_imports_point_down() -> None:
    found = []
    for path in sorted(ROOT.glob("*/**/*.py")):
        package = path.relative_to(ROOT).parts[0]
        found += [f"{path.relative_to(ROOT)}: {text}" for text in violations(package, imports_of(path))]
    assert not found, "\n".join(found)


def test_rooms_of_the_phantom_import_down() -> None:
    found, seen = [], set()
    for path in sorted((ROOT / "phantom").glob("**/*.py")):
        room = path.relative_to(ROOT / "phantom").parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        seen.add(room)
        for name in imports_of(path):
            parts = name.split(".")
            if parts[:2] != ["osteomet", "phantom"] or parts[2] == room:
                continue
            if PHANTOM_LEVEL[parts[2]] >= PHANTOM_LEVEL[room]:
                found.append(f"{path.relative_to(ROOT)} imports {name}, which is not in a room below")
    assert not found, "\n".join(found)
    assert seen == set(PHANTOM_LEVEL)


def test_the_rule_catches_what_it_should() -> None:
    assert violations("image", {"osteomet.io.formats"})
    assert violations("io", {"osteomet.phantom.ct.rendering"})
    assert violations("lesions", {"torch.nn"})
    assert not violations("io", {"osteomet.core.grid", "pydicom", "osteomet.image.resample"})
