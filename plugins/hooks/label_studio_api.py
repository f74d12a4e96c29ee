"""Requests to Label Studio's REST API: the login, and what each answer means."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.http.hooks.http import HttpHook

from include.errors import ConfigError, DataContractError, ServiceUnavailable

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

_TIMEOUT_S = 60


class LabelStudioApi(HttpHook):
    """Asks Label Studio, and tells what may be tried again from what may not.

    :param label_studio_conn_id: connection of type HTTP: host (with scheme), port, and as password
        a token of a user of Label Studio: a personal access token, which is exchanged for a short
        one whenever that has ended, or a legacy token
    """

    conn_name_attr = "label_studio_conn_id"
    default_conn_name = "label_studio"
    hook_name = "Label Studio"

    def __init__(self, label_studio_conn_id: str = default_conn_name) -> None:
        super().__init__(http_conn_id=label_studio_conn_id, auth_type=lambda *_: self._sign)

    @property
    def url(self) -> str:
        """Address of Label Studio."""
        return str(self.url_from_endpoint("")).rstrip("/")

    @cached_property
    def _session(self) -> Session:
        return self.get_conn()

    @cached_property
    def _password(self) -> str:
        return str(self.get_connection(self.http_conn_id).password or "")

    @property
    def _exchanged(self) -> bool:
        """Whether the password is a personal access token: a JSON Web Token has three parts."""
        return self._password.count(".") == 2

    @cached_property
    def _authorization(self) -> str:
        if not self._exchanged:
            return f"Token {self._password}"
        body = {"refresh": self._password}
        answer = self._send("POST", "api/token/refresh/", json=body, auth=lambda request: request)
        if answer.status_code in (400, 401, 403):
            raise self._refused(answer)
        return f"Bearer {self._checked(answer, 'POST', 'api/token/refresh/')['access']}"

    def _sign(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = self._authorization
        return request

    def ask(self, method: str, path: str, gone: Any = None, **more: Any) -> Any:
        """Ask, and return what is said, as JSON.

        :param gone: what to return where there is no such thing; by default that is an error
        :param more: of the request, as `requests` takes it
        """
        answer = self._send(method, path, **more)
        if answer.status_code == 401 and self._exchanged:  # the short token has ended
            self.__dict__.pop("_authorization", None)
            answer = self._send(method, path, **more)
        if answer.status_code == 404 and gone is not None:
            return gone
        return self._checked(answer, method, path)

    def _send(self, method: str, path: str, **more: Any) -> Response:
        import requests

        session, url = self._session, self.url_from_endpoint(path)
        timeout = self.merged_extra.get("timeout") or _TIMEOUT_S  # of the connection
        try:
            return session.request(method, url, timeout=timeout, allow_redirects=False, **more)
        except requests.RequestException as error:
            raise ServiceUnavailable(
                f"Label Studio at {self.url} does not answer ({type(error).__name__}). Start it "
                "(`make labelling-up` on one machine), or correct the Airflow connection "
                f"{self.http_conn_id!r}."
            ) from error

    def _checked(self, answer: Response, method: str, path: str) -> Any:
        status, words = answer.status_code, f"{method} {path} answers {answer.status_code}"
        if status in (401, 403):
            raise self._refused(answer)
        if status == 204:
            return None
        try:
            said = answer.json()
        except ValueError:  # a page of a gateway, or of another program
            said = None
        if answer.ok and said is not None:
            return said
        reason = _reason(said) or "no JSON"
        if status == 404 and said is not None:
            raise self.lost(f"{words}: {reason.rstrip('.')}")
        if status in (400, 413, 422):  # a retry sends the same again
            raise ConfigError(f"Label Studio at {self.url}: {words}: {reason}. Correct it.")
        raise ServiceUnavailable(f"Label Studio at {self.url}: {words}: {reason}. Look at its log.")

    def lost(self, what: str) -> DataContractError:
        """Make the error for what was there and is not any more.

        :param what: what is missing, as the end of a sentence
        """
        return DataContractError(
            f"Label Studio at {self.url}: {what}. The project or its tasks were deleted, or Label "
            "Studio was started with an empty database. What was collected before is kept in the "
            "lake. Clear the task `send_items` of this run: it sends the round again."
        )

    def _refused(self, answer: Response) -> ConfigError:
        return ConfigError(
            f"Label Studio at {self.url} refuses the token of the Airflow connection "
            f"{self.http_conn_id!r} (HTTP {answer.status_code}). Put a valid one into its password "
            "(Label Studio, Account & Settings), of a user who may change projects."
        )


def _reason(said: Any) -> str:
    """Give what Label Studio says of an error, shortly."""
    if not isinstance(said, dict):
        return ""
    details = said.get("validation_errors") or ""
    return f"{said.get('detail', '')} {json.dumps(details) if details else ''}".strip()[:300]
