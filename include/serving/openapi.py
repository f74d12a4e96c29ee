"""The published API description: `/openapi.json`, with the columns of each use case."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from include.registry.package import ServableModel
from include.serving.cells import DESCRIBED
from include.serving.models import Models
from include.serving.protocol import MAX_BODY_BYTES, MAX_ROWS
from include.serving.rejected import ERROR_CODES


def described(app: FastAPI, models: Models) -> dict[str, Any]:
    """Describe the API as it is now: for each champion, what a row holds.

    Parameters
    ----------
    app : FastAPI
        The application; its other routes describe themselves.
    models : Models
        The champions.
    """
    content = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    content.setdefault("components", {})["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "Once there is a key."}
    }
    paths = content["paths"]
    row: dict[str, Any] = {"type": "object"}
    name = {"name": "use_case", "in": "path", "required": True, "schema": {"type": "string"}}
    paths["/{use_case}/invocations"] = {"post": {**_operation(row), "parameters": [name]}}
    for use_case in models.names:
        if (live := models.live(use_case)) is not None:
            operation = _operation(row_of(live.model))
            example = {"instances": [live.model.example]}
            operation["requestBody"]["content"]["application/json"]["example"] = example
            paths[f"/{use_case}/invocations"] = {"post": operation}
    return content


def row_of(model: ServableModel) -> dict[str, Any]:
    """Describe a row of a request: its columns, and which of them may be null or left out."""
    types = dict(model.request_columns)
    keys = {name: model.use_case.ingest.columns[name] for name in model.use_case.ingest.key}
    columns = {}
    for name, kind in {**types, **keys}.items():
        rule, about = model.request_rules[name], dict(DESCRIBED[kind])
        if rule.possible is not None and rule.refuse:
            about["minimum"], about["maximum"] = rule.possible
        if rule.nullable:
            about["type"] = [about["type"], "null"]
        if not rule.blank and kind == "string":
            about["pattern"] = r"^[^\u0000]*\S[^\u0000]*$"
        columns[name] = about
    return {
        "type": "object",
        "properties": columns,
        "required": list(types),
        "additionalProperties": False,
    }


def _operation(row: dict[str, Any]) -> dict[str, Any]:
    rows = {"type": "array", "minItems": 1, "maxItems": MAX_ROWS, "items": row}
    split = {
        "type": "object",
        "required": ["columns", "data"],
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            "data": {"type": "array", "minItems": 1, "items": {"type": "array"}},
        },
    }
    columns = {
        "type": "object",
        "additionalProperties": {"type": "array", "minItems": 1, "maxItems": MAX_ROWS},
    }
    bodies = {
        "instances": rows,
        "dataframe_records": rows,
        "dataframe_split": split,
        "inputs": {"anyOf": [rows, columns]},
    }
    forms = [
        {
            "type": "object",
            "properties": {name: body},
            "required": [name],
            "additionalProperties": False,
        }
        for name, body in bodies.items()
    ]
    return {
        "summary": "Predict raw rows; each may carry the use case's key, too.",
        "requestBody": {
            "required": True,
            "description": f"Up to {MAX_ROWS} rows, {MAX_BODY_BYTES} bytes.",
            "content": {
                "application/json": {"schema": {"oneOf": forms}},
                "text/csv": {"schema": {"type": "string"}},
            },
        },
        "responses": ANSWERS,
        "security": [{}, {"key": []}],
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


def _flagged(words: str) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": {"type": "array", "items": {"type": "integer"}},
        "description": f"Only when there are any: {words}.",
    }


ANSWERS: dict[str, dict[str, Any]] = {
    "200": {
        "description": "One prediction for each row: class, value or cluster; of three classes or "
        "more the name of the class.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["predictions"],
                    "properties": {
                        "predictions": {
                            "type": "array",
                            "items": {"anyOf": [{"type": "number"}, {"type": "string"}]},
                        },
                        "scores": {
                            "type": "array",
                            "items": {"type": "number"},
                            "description": "Two classes only: the probability of class 1.",
                        },
                        "probabilities": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "additionalProperties": {"type": "number"},
                            },
                            "description": "Three classes or more only: for each row the "
                            "probability of each class, by its name.",
                        },
                        "out_of_range": _flagged(
                            "by column, the rows whose value is outside the range seen at "
                            "training, or impossible and taken as missing"
                        ),
                        "unknown_categories": _flagged(
                            "by feature, the rows whose category no training row had"
                        ),
                        "failed_joins": _flagged("by reference, the rows for which it has no row"),
                    },
                }
            }
        },
    },
    **{
        str(status): {"description": ERROR_CODES[status], **_ERROR}
        for status in (400, 401, 403, 404, 408, 413, 415, 429, 500, 503)
    },
}
