"""What is checked and added on the way in."""

from __future__ import annotations

import pyarrow as pa
import pytest

from include.errors import DataContractError
from include.lake.writing import check_data, with_partition

SCHEMA = pa.schema([("a", pa.int64())])


def test_data_must_be_of_the_schema_to_the_letter() -> None:
    check_data("u.raw", pa.table([[1]], schema=SCHEMA), SCHEMA)
    with pytest.raises(DataContractError, match=r"u.raw: .* column 'a' must be int64, got double"):
        check_data("u.raw", pa.table({"a": [1.0]}), SCHEMA)


def test_the_partition_is_a_string_in_every_row() -> None:
    rows = with_partition("u.raw", pa.table([[1, 2]], schema=SCHEMA), "2013-01")
    assert rows.to_pydict() == {"a": [1, 2], "partition": ["2013-01", "2013-01"]}
    assert rows.schema.field("partition").type == pa.string()
