"""10,000 requests to six small models, and what the server answered before it scored in batches.

`python -m tests.include.serving.recorded` records the answers again: only when answers change on
purpose.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from include.lake.table import Lake
from include.registry.package import ServableModel
from include.serving.app import create_app
from include.settings import Settings
from include.use_cases.python_package import OwnPython
from tests.include.serving.conftest import StubRegistry
from tests.support.packages import TINY, make_package, tiny_rows, tiny_use_case
from tests.support.request_bodies import good_body
from tests.support.three_classes import three_class_rows, three_classes

ANSWERS = Path(__file__).with_name("recorded_answers.json.gz")
REQUESTS = 10_000
AT_ONCE = 32
DERIVE = """
def derive(frame):
    return frame.assign(
        sum=frame["x"] + frame["z"],
        shade=frame["colour"].str.slice(0, 1),
        length=frame["colour"].str.len().astype("float64"),
    )
"""
_CELLS: dict[str, tuple[Any, ...]] = {
    "x": (0, -1, 0.5, 2**24 + 1, 1e-9, -1e6, 1e29, None),
    "z": (0.0, 3, -0.25, 16_777_217.0, None),
    "colour": ("red", "green", "blue", "purple", "Red", "missing", "", "é", None),
}
_WRONG: tuple[Any, ...] = ("text", True, 1e31, 2**60, [], {}, "\ud800", float("nan"), "5")


def models(where: Path) -> dict[str, ServableModel]:
    """Train the models, by the name of their use case."""
    derived = {**TINY["features"], "numeric": ["x", "z", "sum", "length"]}
    derived["categorical"] = ["colour", "shade"]
    own = OwnPython("derived", (("features.py", DERIVE),))
    rows = tiny_rows()
    more = rows.assign(
        sum=rows["x"] + rows["z"],
        shade=rows["colour"].str.slice(0, 1),
        length=rows["colour"].str.len().astype("float64"),
    )
    with_gaps = rows.copy()
    with_gaps.loc[:4, ["x", "z", "colour"]] = None  # a request may lack values, too
    boosted: dict[str, Any] = {"estimator": "hist_gradient_boosting"}
    made = {
        "linear": ({"use_case": tiny_use_case(name="linear")}),
        "boosted": ({"use_case": tiny_use_case(name="boosted"), **boosted}),
        "ridge": ({"use_case": tiny_use_case("regression", name="ridge"), "task": "regression"}),
        "clusters": (
            {"use_case": tiny_use_case("clustering", name="clusters"), "task": "clustering"}
        ),
        "classes": (
            {
                "use_case": three_classes().model_copy(update={"name": "classes"}),
                "rows": three_class_rows(),
                **boosted,
            }
        ),
        "derived": (
            {
                "use_case": tiny_use_case(name="derived", features=derived),
                "python": own,
                "rows": more,
                **boosted,
            }
        ),
    }
    return {
        name: make_package(where / name, request_rows=with_gaps, **options).load("1")
        for name, options in made.items()
    }


def requests(names: list[str]) -> Iterator[tuple[str, bytes, str]]:
    """Make the requests: use case, body, content type; one in ten is wrong somewhere."""
    for number in range(REQUESTS):
        rng = random.Random(number)  # noqa: S311 - nothing here is a secret
        rows = [_row(rng) for _ in range(rng.choice([1, 1, 1, 1, 2, 5]))]
        if rng.random() < 0.1:
            rng.choice(rows)[rng.choice(["x", "z", "colour"])] = rng.choice(_WRONG)
        yield (names[number % len(names)], *good_body(rng, rows))


def _row(rng: random.Random) -> dict[str, Any]:
    row = {
        "x": rng.gauss(0, 1.5),
        "z": rng.gauss(0, 1),
        "colour": rng.choice(["red", "green", "blue"]),
    }
    if rng.random() < 0.3:
        name = rng.choice(list(_CELLS))
        row[name] = rng.choice(_CELLS[name])
    return row


def ask(where: Path) -> list[tuple[int, Any]]:
    """Ask all, some at once; return status and content of each answer, in the order asked."""
    registry = StubRegistry()
    for model in models(where).values():
        registry.promote(dataclasses.replace(model), "1")
    names = sorted(registry.champions)
    settings = Settings.from_env({"FLYWHEEL_HOME": str(where / "home")})
    app = create_app(settings, registry, Lake(settings.lake_uri), names=lambda: names, poll_s=3600)

    async def all_of_them() -> list[tuple[int, Any]]:
        answers: dict[int, tuple[int, Any]] = {}
        left = iter(enumerate(requests(names)))
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):

            async def one_after_another() -> None:
                for number, (name, body, kind) in left:
                    path, headers = f"/{name}/invocations", {"Content-Type": kind}
                    reply = await client.post(path, content=body, headers=headers)
                    while reply.status_code == 503:  # the machine is busy: ask again, as it says
                        await asyncio.sleep(float(reply.headers["Retry-After"]))
                        reply = await client.post(path, content=body, headers=headers)
                    answers[number] = (reply.status_code, reply.json())

            await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))
        return [answers[number] for number in range(REQUESTS)]

    return asyncio.run(all_of_them())


def recorded() -> list[tuple[int, Any]]:
    """Read the recorded answers."""
    with gzip.open(ANSWERS, "rt") as file:
        return [(status, content) for status, content in map(json.loads, file)]


def _rounded(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _rounded(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_rounded(value) for value in content]
    return float(f"{content:.8g}") if isinstance(content, float) else content


def main() -> None:
    """Record."""
    with tempfile.TemporaryDirectory() as folder:
        answers = ask(Path(folder))
    lines = (json.dumps([status, _rounded(content)]) for status, content in answers)
    with gzip.GzipFile(ANSWERS, "wb", mtime=0) as file:
        file.write("\n".join(lines).encode())
    print(f"{ANSWERS}: {ANSWERS.stat().st_size} bytes")  # noqa: T201


if __name__ == "__main__":
    main()
