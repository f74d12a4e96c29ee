"""`python -m tests.support.moto_server PORT`: moto's server, one request at a time.

moto checks the condition of a PUT and stores the object later, in another step. Its own server
answers requests in threads, so of eight conditional PUTs of one key two succeeded, and Delta would
lose a commit. With one request at a time exactly one succeeds.

It keeps everything in memory, asks for no login, and speaks STS, Secrets Manager and the Parameter
Store too.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from scripts.stack.settings import HOST

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def one_at_a_time(application: Application) -> Application:
    """Let a WSGI application answer one request after the other; each whole, body included."""
    turn = threading.Lock()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with turn:
            return [b"".join(application(environ, start_response))]

    return answer


def main(port: int) -> None:
    """Serve until SIGTERM."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    moto = DomainDispatcherApplication(create_backend_app)
    run_simple(HOST, port, one_at_a_time(moto), threaded=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
