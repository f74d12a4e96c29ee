"""nginx's configuration: one address in front of serving's replicas.

`python -m scripts.cluster.balancer` writes `nginx.conf` beside this file again, for containers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from include.serving.protocol import MAX_BODY_BYTES


def configuration(listen: str, replicas: Sequence[str], folder: Path) -> str:
    """Return an `nginx.conf`.

    Parameters
    ----------
    listen
        Address and port.
    replicas
        Address and port of each.
    folder
        Where nginx may write.
    """
    servers = "\n".join(f"        server {each} max_fails=1 fail_timeout=2s;" for each in replicas)
    temporary = "\n".join(
        f"    {kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    server_tokens off;
{temporary}
    # A body that is larger is refused by serving, in its own words.
    client_max_body_size {2 * MAX_BODY_BYTES};
    upstream replicas {{
{servers}
        keepalive 32;
    }}
    server {{
        listen {listen};
        location / {{
            proxy_pass http://replicas;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_connect_timeout 2s;
            # Another replica is asked only where none has begun with the request: a request is
            # answered, and logged, once.
            proxy_next_upstream error timeout;
        }}
    }}
}}
"""


def of_containers() -> str:
    """Return the configuration in a container; the name stands for all replicas there are."""
    return configuration("8080", ["serving:8000"], Path("/tmp"))  # noqa: S108 - the container's own


FILE = Path(__file__).with_name("nginx.conf")

if __name__ == "__main__":
    FILE.write_text(of_containers())
