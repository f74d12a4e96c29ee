"""The error answers of the server."""

from __future__ import annotations

import json

MAX_BYTES = 2_000
"""Size of an error's body: a use case with hundreds of columns would list them all."""
ERROR_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL_ERROR",
    503: "UNAVAILABLE",
}


class Rejected(Exception):  # noqa: N818 - a request is rejected; nothing went wrong here
    """A request that gets an error as its answer.

    Parameters
    ----------
    status : int
        HTTP status, one of `ERROR_CODES`.
    message : str
        For the client: what was expected and where. Of what was sent, it may repeat plain names and
        finite numbers only.
    retry_after_s : int, optional
        When it may be asked again, for the header `Retry-After`.
    """

    def __init__(self, status: int, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        if status == 401:  # RFC 9110, 15.5.2
            self.headers["WWW-Authenticate"] = "Bearer"
        self.status = status
        self.error_code = ERROR_CODES[status]
        self.message = message

    def body(self) -> bytes:
        """Return the error's body in MLflow's shape; a long message is cut to fit MAX_BYTES."""
        message = self.message
        while len(body := self._body(message)) > MAX_BYTES:
            message = message[: len(message) * 3 // 4] + " ..."
        return body

    def _body(self, message: str) -> bytes:
        return json.dumps({"error_code": self.error_code, "message": message}).encode()


class RefusedValue(Rejected):
    """A request that is refused for a value that others of its kind are only flagged for.

    Parameters
    ----------
    message : str
        As of `Rejected`.
    finding : str
        Which of `include.serving.metrics.FINDINGS` it is.
    name : str
        The column, feature or reference that it is about.
    """

    def __init__(self, message: str, finding: str, name: str) -> None:
        super().__init__(400, message)
        self.finding = finding
        self.name = name
