from __future__ import annotations

import json

from include.use_cases.publish_schema import PATH, schema_text


def test_published_schema_is_current() -> None:
    assert PATH.read_text() == schema_text(), (
        "use_case.schema.json is not what schema.py says: run `python -m "
        "include.use_cases.publish_schema`."
    )


def test_published_schema_speaks_the_words_of_the_yaml() -> None:
    schema = json.loads(schema_text())
    assert "name" not in schema["properties"]
    assert {"task", "ingest", "validate", "features", "retrain"} <= set(schema["properties"])
    assert "from" in schema["$defs"]["Labels"]["properties"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Retrain"]["properties"]["cooldown"]["type"] == "string"
