"""Names that the wheel gives to columns of its own cannot be a use case's."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from include.batch_predict.predict import predictions_schema
from include.errors import ConfigError
from include.labelling.contract import labels_schema
from include.lake.schemas import PARTITION
from include.use_cases.loader import load_text
from include.use_cases.reserved import RESERVED

YAML = (Path(__file__).parent / "confs" / "valid" / "classification.yaml").read_text()
PLANS = "columns: {plan: string, price: float64}"


def problems(text: str) -> str:
    with pytest.raises(ConfigError) as error:
        load_text(text, "churn", "u.yaml")
    return str(error.value)


@pytest.mark.parametrize("name", [*sorted(RESERVED), "_row", ".fitted", "Score"])
def test_reserved_names_are_refused_wherever_they_would_meet_ours(name: str) -> None:
    said = (
        "cannot have this name: ['label', 'model_version', 'partition', 'predicted_at', "
        "'prediction', 'reason', 'score'] and names that begin with '_' or '.' are kept for other "
        "things. "
    )
    rename, derive = "Rename the column where it is landed.", "Give the feature another name."
    landed = YAML.replace("{customer: int64, seen_at: timestamp, plan", f"{{{name}: int64, plan")
    assert f"u.yaml, line 9: ingest.columns.{name} {said}{rename}" in problems(landed)
    reference = YAML.replace(PLANS, f"columns: {{plan: string, price: float64, {name}: int64}}")
    where = "u.yaml, line 11: ingest.references.plans.columns"
    assert f"{where}.{name} {said}{rename}" in problems(reference)
    numeric = YAML.replace("[calls, bill, price]", f"[calls, bill, price, {name}]")
    assert f"features.numeric.{name} {said}{derive}" in problems(numeric)
    categorical = YAML.replace("categorical: [plan]", f"categorical: [plan, {name}]")
    assert f"features.categorical.{name} {said}{derive}" in problems(categorical)


def test_an_outcome_may_have_any_name() -> None:
    """The outcome's column is not kept, so `label` can be what a label is read off."""
    use_case = load_text(YAML.replace("days_to_departure", "label"), "churn", "u.yaml")
    assert use_case.labels is not None
    assert use_case.labels.from_ == "label"
    assert labels_schema(use_case, use_case.labels).names == ["customer", "seen_at", "label"]


def test_every_column_that_the_lake_adds_is_reserved() -> None:
    use_case = load_text(YAML, "churn", "u.yaml")
    assert use_case.labels is not None
    schemas: list[pa.Schema] = [
        predictions_schema(use_case), labels_schema(use_case, use_case.labels),
    ]  # fmt: skip
    added = {name for schema in schemas for name in schema.names} - set(use_case.ingest.columns)
    assert added | {PARTITION, "reason"} == RESERVED, (
        "A table got or lost a column beside the use case's own: correct RESERVED in "
        "include/use_cases/reserved.py."
    )


def test_columns_that_differ_only_in_upper_and_lower_case_are_refused() -> None:
    landed = YAML.replace(
        "{customer: int64, seen_at: timestamp, plan",
        "{customer: int64, Plan: string, seen_at: timestamp, plan",
    )
    assert "ingest.columns names 'Plan' and 'plan', which differ only in" in problems(landed)
    made = YAML.replace("[calls, bill, price]", "[calls, bill, price, Customer]")
    assert "names 'Customer' and 'customer', which differ only in" in problems(made)
