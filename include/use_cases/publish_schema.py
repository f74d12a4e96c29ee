"""Write the JSON Schema that editors check `use_case.yaml` with.

Run as `python -m include.use_cases.publish_schema`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from include.use_cases.amounts import Amount
from include.use_cases.schema import UseCase

PATH = Path(__file__).with_name("use_case.schema.json")


class _AsWritten(GenerateJsonSchema):
    """Shows a default amount as the YAML would have it."""

    def encode_default(self, dft: Any) -> Any:
        return dft.plain if isinstance(dft, Amount) else super().encode_default(dft)


def schema_text() -> str:
    """Make the schema as JSON text, without `name`: that is the folder's."""
    schema = UseCase.model_json_schema(by_alias=True, schema_generator=_AsWritten)
    del schema["properties"]["name"]
    schema["required"].remove("name")
    schema["title"] = "Flywheel use case"
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    PATH.write_text(schema_text(), encoding="utf-8")
