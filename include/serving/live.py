"""What answers for a use case: a model, and the reference tables that its features join."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import pandas as pd

from include.lake.table import Input
from include.modelling.references import Indexed
from include.registry.package import ServableModel
from include.serving.plain_features import PlainFeatures, plain_features
from include.serving.protocol import Rows, frame_of, parse
from include.serving.scored import Places, Scored, joined, unknown_categories


@dataclass(frozen=True, eq=False)
class Live:
    """A model that answers, and the reference tables its features join."""

    model: ServableModel
    references: Mapping[str, Indexed]
    reference_versions: Mapping[str, Input]
    since: datetime

    def score(self, requests: Sequence[Rows]) -> list[Scored]:
        """Score the rows of several requests together; returns each request's part.

        Those of a model whose rows depend on each other are scored one by one.
        """
        return self._scored(requests).split([rows.count for rows in requests])

    def _scored(self, requests: Sequence[Rows]) -> Scored:
        model = self.model
        if self.plain is not None:
            unjoined: dict[str, Places] = {}
            return self._of_features(self.plain(requests, unjoined), unjoined)
        frame = frame_of(requests, model.use_case, model.request_columns)
        if model.rows_apart is not False:
            return self._of_rows(frame)
        return joined([self._of_rows(frame.iloc[[row]]) for row in range(len(frame))])

    def _of_rows(self, rows: pd.DataFrame) -> Scored:
        unjoined: dict[str, Places] = {}
        features = self.model.make_features(rows, self.references, unjoined)
        return self._of_features(features, unjoined)

    def _of_features(self, features: Any, unjoined: dict[str, Places]) -> Scored:
        model = self.model
        unknown = unknown_categories(model.categories, features)
        return Scored(model.score_made(features), unknown, unjoined)

    @cached_property
    def plain(self) -> PlainFeatures | None:
        """What makes the features without pandas; None where user code or the model needs it."""
        model = self.model
        if model.onnx is None or not model.rows_apart or model.python.module() is not None:
            return None
        return plain_features(model.use_case, model.request_columns, self.references)

    def answer_example(self) -> None:
        """Answer the package's stored example: a model that cannot must not serve.

        The first prediction of a model also costs tens of milliseconds, which no request should.
        """
        model = self.model
        body = json.dumps({"instances": [model.example]}).encode()
        rows = parse(body, "application/json", model.use_case, model.request_columns)
        self.score([rows])
