"""What the published API description says of `/<use case>/invocations`."""

from __future__ import annotations

from typing import Any

from include.serving.protocol import FORMATS, MAX_BODY_BYTES, MAX_ROWS
from include.serving.rejected import ERROR_CODES

REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"Up to {MAX_ROWS} rows, {MAX_BODY_BYTES} bytes.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {name: {} for name in FORMATS},
                    "minProperties": 1,
                    "description": f"Exactly one of {', '.join(FORMATS)}.",
                }
            },
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}
_ERROR: dict[str, Any] = {
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error_code", "message"],
                "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
            }
        }
    }
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One prediction for each row: class, value or cluster.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["predictions"],
                    "properties": {
                        "predictions": {"type": "array", "items": {"type": "number"}},
                        "scores": {
                            "type": "array",
                            "items": {"type": "number"},
                            "description": "Classification only: the probability of class 1.",
                        },
                        "out_of_range": {
                            "type": "object",
                            "additionalProperties": {
                                "type": "array",
                                "items": {"type": "integer"},
                            },
                            "description": "Only when there are any: by column, the rows whose "
                            "value is outside the range seen at training, or impossible and taken "
                            "as missing.",
                        },
                    },
                }
            }
        },
    },
    **{
        status: {"description": ERROR_CODES[status], **_ERROR}
        for status in (400, 404, 408, 413, 415, 500, 503)
    },
}
