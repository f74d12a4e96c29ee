"""What answers for a use case: a model, and the reference tables that its features join."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from include.lake.table import Input
from include.modelling.references import Indexed
from include.registry.package import ServableModel
from include.serving.protocol import parse


@dataclass(frozen=True, eq=False)
class Live:
    """A model that answers, and the reference tables its features join."""

    model: ServableModel
    references: Mapping[str, Indexed]
    reference_versions: Mapping[str, Input]
    since: datetime

    def answer_example(self) -> None:
        """Answer the package's stored example: a model that cannot must not serve.

        The first prediction of a model also costs tens of milliseconds, which no request should.
        """
        model = self.model
        body = json.dumps({"instances": [model.example]}).encode()
        rows = parse(body, "application/json", model.use_case, model.request_columns)
        model.predict(rows.frame(model.use_case, model.request_columns), self.references)
