"""A client of the scoring server. The file needs httpx, and nothing else of this repository.

with Client("https://scores.example.com", key="fw_...") as client:
    answer = client.predict("flight_delays", rows)
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any

import httpx

MAX_ROWS, MAX_BYTES = 10_000, 5_000_000
"""What the server takes in one request."""
_AGAIN = (429, 503)
_LONGEST_WAIT_S = 30.0
_VERSION, _REQUEST = "X-Model-Version", "X-Request-Id"
_STRANGE = "NOT_OF_THE_SERVER"


class ServingError(Exception):
    """An answer that is no prediction, or none at all.

    Parameters
    ----------
    status : int
        HTTP status; 0 where the server was not reached, or did not answer in time.
    error_code : str
        The server's code, such as ``BAD_REQUEST``; ``UNREACHABLE`` with status 0.
    message : str
        The server's words; rows in it are counted from the first of those given to `predict`.
    request_id : str
        Under which the request stands in the lake's table `requests`; '' where none came.
    """

    def __init__(self, status: int, error_code: str, message: str, request_id: str = "") -> None:
        super().__init__(f"{status} {error_code}: {message}")
        self.status = status
        self.error_code = error_code
        self.message = message
        self.request_id = request_id


@dataclass(frozen=True)
class Answer:
    """What was answered for the rows given to `Client.predict`, in their order.

    Attributes
    ----------
    predictions : list
        Class, value or cluster; of three classes or more the name of the class.
    scores : list of float
        Two classes only: the probability of class 1.
    probabilities : list of dict
        Three classes or more only: for each row those of all classes.
    out_of_range, unknown_categories, failed_joins : dict of str to list of int
        Rows that are not like those of training; see docs/serving.md.
    model_versions, request_ids : list of str
        One for each request that was sent.
    """

    predictions: list[Any] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    probabilities: list[dict[str, float]] = field(default_factory=list)
    out_of_range: dict[str, list[int]] = field(default_factory=dict)
    unknown_categories: dict[str, list[int]] = field(default_factory=dict)
    failed_joins: dict[str, list[int]] = field(default_factory=dict)
    model_versions: list[str] = field(default_factory=list)
    request_ids: list[str] = field(default_factory=list)

    def _add(self, reply: httpx.Response) -> None:
        try:
            content, names = reply.json(), (_VERSION, _REQUEST)
            version, request_id = (reply.headers[name] for name in names)
            content["predictions"]
        except (ValueError, KeyError, TypeError):  # a proxy's own page
            raise ServingError(reply.status_code, _STRANGE, reply.text[:200]) from None
        first = len(self.predictions)
        for name in ("predictions", "scores", "probabilities"):
            getattr(self, name).extend(content.get(name, []))
        for name in ("out_of_range", "unknown_categories", "failed_joins"):
            for what, rows in content.get(name, {}).items():
                getattr(self, name).setdefault(what, []).extend(first + row for row in rows)
        self.model_versions.append(version)
        self.request_ids.append(request_id)


class Client:
    """Asks one scoring server; may be used by several threads.

    Parameters
    ----------
    url : str
        Its address, such as ``http://127.0.0.1:8000``.
    key : str, optional
        An API key. It is sent as it is: beyond one machine use ``https``.
    timeout_s : float
        For how long an answer to one request is waited for.
    patience_s : float
        For how long in all a request is sent again while the server has too much to do (503), the
        key asks too often (429), or nobody accepts the connection. 0 sends each once.
    http : httpx.Client, optional
        A client of your own, for proxies and certificates; `url` and `timeout_s` are not used then.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout_s: float = 30.0,
        patience_s: float = 60.0,
        http: httpx.Client | None = None,
    ) -> None:
        self._http = http or httpx.Client(base_url=url, timeout=timeout_s)
        self._headers = {"Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._patience_s = patience_s

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def predict(self, use_case: str, rows: Iterable[Mapping[str, Any]]) -> Answer:
        """Predict rows; more than one request may hold are sent in several.

        Parameters
        ----------
        use_case : str
            Such as ``flight_delays``.
        rows : iterable of mapping
            Columns by name. Numbers, texts and truth values, None where missing; of a time or a
            date its ISO text, or an object with `isoformat`. ``frame.to_dict("records")`` gives
            the rows of a DataFrame; NaN, NaT and pandas.NA count as missing.

        Raises
        ------
        ServingError
            A request was refused, or not answered. Those before it are answered, and lost here.
        TypeError, ValueError
            A value has no JSON form; infinity has none either.
        """
        answer = Answer()
        for body in bodies_of(rows):
            answer._add(self._ask(f"/{use_case}/invocations", body, len(answer.predictions)))
        return answer

    def _ask(self, path: str, body: bytes, first: int) -> httpx.Response:
        until = time.monotonic() + self._patience_s
        tries = 0
        while True:
            tries += 1
            wait_s = min(0.1 * 2**tries, 5.0) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
            try:
                reply = self._http.post(path, content=body, headers=self._headers)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:  # nothing was sent
                problem = ServingError(0, "UNREACHABLE", str(error))
            except httpx.HTTPError as error:  # it may have been scored: not sent again
                words = str(error) or type(error).__name__
                raise ServingError(0, "UNREACHABLE", words) from error
            else:
                if reply.status_code == 200:
                    return reply
                problem = _error_of(reply, first)
                if reply.status_code not in _AGAIN:
                    raise problem
                wait_s = max(wait_s, _retry_after_s(reply))
            if time.monotonic() + wait_s > until:
                raise problem
            time.sleep(wait_s)


def bodies_of(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Write rows as bodies of requests, each within the server's limits."""
    part: list[bytes] = []
    size = 0
    for row in rows:
        plain = {name: _plain(value) for name, value in row.items()}
        text = json.dumps(plain, allow_nan=False).encode()
        if part and (len(part) == MAX_ROWS or size + len(text) + 20 > MAX_BYTES):
            yield _body(part)
            part, size = [], 0
        part.append(text)
        size += len(text) + 1
    if part:
        yield _body(part)


def _body(rows: Sequence[bytes]) -> bytes:
    return b'{"instances":[%b]}' % b",".join(rows)


def _plain(value: Any) -> Any:
    if type(value).__name__ in ("NAType", "NaTType"):  # pandas need not be installed
        return None
    if hasattr(value, "item"):  # NumPy's numbers
        value = value.item()
    if isinstance(value, float) and math.isnan(value):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value


def _error_of(reply: httpx.Response, first: int) -> ServingError:
    request_id = reply.headers.get(_REQUEST, "")
    try:
        content = reply.json()
        code, message = str(content["error_code"]), str(content["message"])
    except (ValueError, KeyError, TypeError):  # a proxy's own page
        code, message = _STRANGE, reply.text[:200]
    if first:
        message = f"(rows are counted from row {first} on) {message}"
    return ServingError(reply.status_code, code, message, request_id)


def _retry_after_s(reply: httpx.Response) -> float:
    text = reply.headers.get("Retry-After", "")
    if text.isdecimal():
        wait_s = float(text)
    else:
        try:  # a proxy may say a date
            wait_s = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            wait_s = 0.0
    return min(max(wait_s, 0.0), _LONGEST_WAIT_S)
