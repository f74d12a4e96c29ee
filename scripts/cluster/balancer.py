"""nginx's configuration: one address in front of serving's replicas, with TLS where it is given.

`python -m scripts.cluster.balancer` writes `nginx.conf` and `nginx-tls.conf` beside this file
again, for containers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from include.serving.protocol import MAX_BODY_BYTES

HSTS_S = 63_072_000
"""Two years: Mozilla's guideline for HTTPS servers, version 5.7, as protocols and ciphers are."""
_RESOLVER = "127.0.0.11"
"""Docker's own name server, in each container."""


@dataclass(frozen=True)
class Tls:
    """Where nginx answers HTTPS, and with what.

    Attributes
    ----------
    listen
        Address and port.
    certificate, key
        Files in PEM; the certificate's has its chain.
    """

    listen: str
    certificate: Path
    key: Path


def configuration(
    listen: Sequence[str], replicas: Sequence[str], folder: Path, tls: Tls | None = None
) -> str:
    """Return an `nginx.conf`.

    Parameters
    ----------
    listen
        Addresses and ports where nginx answers plain HTTP.
    replicas
        Address and port of each. Their number is fixed while nginx runs.
    folder
        Where nginx may write.
    tls
        Where it answers HTTPS.
    """
    servers = "\n".join(f"        server {each} max_fails=1 fail_timeout=2s;" for each in replicas)
    upstream = f"""\
    upstream replicas {{
{servers}
        keepalive 32;
    }}
"""
    return _main(folder, upstream + _servers(listen, tls, "http://replicas"))


def of_containers(tls: Tls | None = None) -> str:
    """Return the configuration in a container.

    The name `serving` stands for all replicas. nginx asks for it again every two seconds, so
    `--scale serving=N` needs no restart. Port 8080 is for the parts on the closed network; 8443 is
    the one that is published, with TLS where it is given.
    """
    upstream = f"""\
    resolver {_RESOLVER} valid=2s ipv6=off;
    # A name in a variable is looked up while nginx runs, and not only when it starts.
    map "" $replicas {{ default serving:8000; }}
"""
    listen = ["8080"] if tls else ["8080", "8443"]
    return _main(Path("/tmp"), upstream + _servers(listen, tls, "http://$replicas"))  # noqa: S108 - the container's own


def _main(folder: Path, http: str) -> str:
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
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_connect_timeout 2s;
    # Another replica is asked only where none has begun with the request: a request is answered,
    # and logged, once.
    proxy_next_upstream error timeout;
{http}}}
"""


def _servers(listen: Sequence[str], tls: Tls | None, to: str) -> str:
    found = _server([f"listen {each};" for each in listen], to)
    if tls:
        # Mozilla's guideline, "intermediate": what browsers and clients of the last years speak.
        lines = [
            f"listen {tls.listen} ssl;",
            f"ssl_certificate {tls.certificate};",
            f"ssl_certificate_key {tls.key};",
            "ssl_protocols TLSv1.2 TLSv1.3;",
            "ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;",
            "ssl_session_cache shared:tls:10m;",
            "ssl_session_tickets off;",
            f'add_header Strict-Transport-Security "max-age={HSTS_S}" always;',
        ]
        found += _server(lines, to)
    return found


def _server(lines: Sequence[str], to: str) -> str:
    text = "\n".join(f"        {line}" for line in lines)
    return f"""\
    server {{
{text}
        location / {{ proxy_pass {to}; }}
    }}
"""


FILE = Path(__file__).with_name("nginx.conf")
TLS_FILE = Path(__file__).with_name("nginx-tls.conf")
_MOUNTED = Path("/etc/flywheel/tls")
OF_CONTAINERS = {
    FILE: of_containers(),
    TLS_FILE: of_containers(
        Tls("8443", _MOUNTED / "certificate.pem", _MOUNTED / "key.pem"),
    ),
}
"""The two configurations of the container, by their file."""

if __name__ == "__main__":
    for file, text in OF_CONTAINERS.items():
        file.write_text(text)
