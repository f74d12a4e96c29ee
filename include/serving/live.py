"""What answers for a use case: a model, and the reference tables that its features join."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np

from include.lake.table import Input
from include.modelling.references import Indexed
from include.modelling.scoring import Floats, score_known
from include.registry.package import ServableModel
from include.serving.plain_features import PlainFeatures, plain_features
from include.serving.protocol import Rows, frame_of, parse


@dataclass(frozen=True, eq=False)
class Live:
    """A model that answers, and the reference tables its features join."""

    model: ServableModel
    references: Mapping[str, Indexed]
    reference_versions: Mapping[str, Input]
    since: datetime

    def score(self, requests: Sequence[Rows]) -> list[Floats]:
        """Score the rows of several requests together.

        Those of a model whose rows depend on each other are scored one by one.

        Returns
        -------
        list of ndarray
            Of each request, what `include.modelling.scoring.score_rows` gives of its rows.
        """
        scores = self._scores(requests)
        ends = np.cumsum([rows.count for rows in requests])
        return np.split(scores, ends[:-1])

    def _scores(self, requests: Sequence[Rows]) -> Floats:
        model = self.model
        if self.plain is not None:
            return score_known(model.onnx, self.plain(requests), model.use_case)
        frame = frame_of(requests, model.use_case, model.request_columns)
        if model.rows_apart is not False:
            return model.score(frame, self.references)
        alone = [frame.iloc[[row]] for row in range(len(frame))]
        return np.concatenate([model.score(row, self.references) for row in alone])

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
