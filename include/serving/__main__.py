"""`python -m include.serving`: the scoring server.

It listens on FLYWHEEL_SERVING_HOST (127.0.0.1) and FLYWHEEL_SERVING_PORT (8000), and looks for new
champions every FLYWHEEL_SERVING_POLL_S seconds (2).
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping

from include import logs
from include.errors import ConfigError
from include.serving.keys import KeyFile
from include.serving.perimeter import LOOPBACK, Perimeter
from include.settings import Settings


def main(env: Mapping[str, str] = os.environ) -> None:
    """Serve until SIGTERM or SIGINT; then finish what runs and take the log to the lake."""
    # The requests are the parallelism. scikit-learn reads it when it is imported, below.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # While MLflow is away every look would log its retry; the watcher says once that it is away.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

    settings = Settings.from_env(env)

    import uvicorn

    from include.lake.table import Lake
    from include.registry.client import Registry
    from include.serving.app import create_app
    from include.serving.http import TimedProtocol
    from include.serving.promoted import PromotedModels

    logs.configure(settings.log_format)
    # The thread of the requests gets its turn after so long while others compute.
    sys.setswitchinterval(0.001)
    registry = Registry(
        settings.tracking_uri,
        verify_key=settings.verify_key,
        cache=settings.home / "serving" / "packages",
    )
    lake = Lake(settings.lake_uri, settings.storage_options())
    promoted = PromotedModels(
        registry, lake, settings.verify_key, settings.home / "serving" / "promotions.json"
    )
    app = create_app(
        settings,
        promoted,
        lake,
        poll_s=settings.serving_poll_s,
        perimeter=perimeter_of(settings),
    )
    uvicorn.run(
        app,
        host=settings.serving_host,
        port=settings.serving_port,
        http=TimedProtocol,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # nobody here asks where a request came from
        access_log=False,  # the prediction log says more
        timeout_graceful_shutdown=10,
    )


def perimeter_of(settings: Settings) -> Perimeter:
    """Say who may ask this server.

    Raises
    ------
    ConfigError
        It would listen beyond loopback, and anybody could ask; or the keys cannot be read.
    """
    keys = KeyFile(settings.serving_keys)
    keys.keys()
    inside = settings.serving_host in ("127.0.0.1", "localhost", "::1")
    if not (inside or settings.serving_open or keys.exists()):
        raise ConfigError(
            f"FLYWHEEL_SERVING_HOST {settings.serving_host}: beyond this machine only clients with "
            "a key may ask, and there is no key. Make one (`make api-key NAME=...`); or, where a "
            "gateway checks who asks, set FLYWHEEL_SERVING_OPEN=1."
        )
    hosts = [one.strip() for one in settings.serving_hosts.split(",") if one.strip()]
    return Perimeter(keys, hosts or LOOPBACK, keys_needed=not (inside or settings.serving_open))


if __name__ == "__main__":
    try:
        main()
    except ConfigError as error:
        raise SystemExit(str(error)) from None  # a person reads it: no traceback
