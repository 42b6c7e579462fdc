"""The JSON Schema in the package is the one that the types give."""

import json
from importlib import resources

import jsonschema

from osteomet.core.findings import SCHEMA_VERSION, findings_schema

FILE = f"findings-{SCHEMA_VERSION.split('.')[0]}.json"
REGENERATE = (
    "the published schema is out of date; write it again with\n"
    f'.venv/bin/python -c "import json; from osteomet.core.findings import findings_schema as s; '
    f'print(json.dumps(s(), indent=2))" > src/osteomet/schemas/{FILE}'
)


def published() -> str:
    return (resources.files("osteomet") / "schemas" / FILE).read_text(encoding="utf-8")


def test_the_published_schema_is_up_to_date() -> None:
    assert published() == json.dumps(findings_schema(), indent=2) + "\n", REGENERATE


def test_the_published_schema_is_a_schema() -> None:
    schema = json.loads(published())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"] == "osteomet findings"
    assert set(schema["required"]) == {"study", "exam", "levels", "lesions", "provenance"}
