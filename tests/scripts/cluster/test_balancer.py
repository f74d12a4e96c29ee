import json
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import psutil
import pytest

from include.serving.protocol import MAX_BODY_BYTES
from scripts.cluster import balancer, services, users
from scripts.cluster.settings import ClusterSettings
from scripts.stack import processes
from tests.support.certificates import self_made
from tests.support.clusters import folder_for_all_users
from tests.support.waiting import until


class Replica(BaseHTTPRequestHandler):
    """Reads the body, and answers with its name."""

    def do_POST(self):
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.name.encode())

    do_GET = do_POST  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def replicas():
    servers = []
    for name in ("one", "two"):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Replica)
        server.name, server.bodies = name, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


def free_address():
    return f"127.0.0.1:{ClusterSettings.free_ports()['FLYWHEEL_SERVING_PORT']}"


@contextmanager
def nginx(replicas, tls=None):
    """Run a real nginx in front of two stand-ins; give its plain address and its process."""
    try:
        program = services.tool("nginx")
    except services.ConfigError:
        pytest.skip("nginx is not installed; `make cluster-install` installs it")
    listen = free_address()
    addresses = [f"127.0.0.1:{server.server_address[1]}" for server in replicas]

    def answers():
        try:
            return httpx.post(f"http://{listen}/", content=b"x", trust_env=False).is_success
        except httpx.TransportError:
            return False

    with folder_for_all_users() as home:
        place = services.ServicesPlace(home)
        folder = services.owned_folder(place, "balancer")
        text = balancer.configuration([listen], addresses, folder, tls)
        users.write_private(folder / "nginx.conf", text.encode())
        command = (program, "-c", str(folder / "nginx.conf"))
        command = services.as_account("balancer", command)
        process = subprocess.Popen(command, start_new_session=True)
        try:
            assert until(answers), process.poll()
            yield f"http://{listen}", process
        finally:
            process.terminate()
            process.wait(timeout=10)


@pytest.fixture
def url(replicas):
    with nginx(replicas) as (address, _):
        yield address


def ask(url, body=b"x"):
    return httpx.post(url, content=body, timeout=30, trust_env=False)


def test_both_replicas_are_asked(url):
    assert {ask(url).text for _ in range(8)} == {"one", "two"}


def test_a_dead_replica_costs_no_answer(url, replicas):
    replicas[0].shutdown()
    replicas[0].server_close()

    answers = [ask(url) for _ in range(20)]

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.text for answer in answers} == {"two"}


def test_the_largest_body_that_serving_takes_passes(url, replicas):
    body = b"x" * MAX_BODY_BYTES

    assert ask(url, body).status_code == 200
    assert body in [*replicas[0].bodies, *replicas[1].bodies]


def test_nginx_is_stopped_after_its_keeper_is_gone(replicas, tmp_path):
    """It writes its title over its environment, and with it over the mark of its home."""
    started_at = time.time()
    with nginx(replicas) as (_, process):
        record = {"phase": "running", "pid": process.pid, "started_at": started_at}
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "balancer.json").write_text(json.dumps(record))
        family = {process.pid, *(child.pid for child in psutil.Process(process.pid).children())}
        assert len(family) == 2
        assert {each.pid for each in processes.of_home(tmp_path)} == family

        processes.sweep(tmp_path, grace_s=10)
        assert process.wait(timeout=10) == 0
        assert not [pid for pid in family if psutil.pid_exists(pid)]


@pytest.fixture
def secure(replicas):
    """Run nginx with a certificate; give its HTTPS address and a client's context."""
    with folder_for_all_users() as folder:
        certificate, key = self_made(folder)
        for file in (certificate, key):  # nginx's user reads them
            file.chmod(0o644)
        listen = free_address()
        with nginx(replicas, balancer.Tls(listen, certificate, key)):
            yield f"https://{listen}", ssl.create_default_context(cafile=certificate)


def test_with_a_certificate_it_answers_https_and_tells_browsers_to_stay(secure):
    url, context = secure
    answer = httpx.post(url, content=b"x", verify=context, trust_env=False)

    assert answer.text in {"one", "two"}
    assert answer.headers["Strict-Transport-Security"] == "max-age=63072000"


def test_plain_http_has_no_answer_where_https_is(secure):
    url, _ = secure
    answer = httpx.post(url.replace("https", "http"), content=b"x", trust_env=False)

    assert answer.status_code == 400
    assert answer.text not in {"one", "two"}


@pytest.mark.parametrize(
    ("version", "accepted"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True),
     (ssl.TLSVersion.TLSv1_3, True)],
)  # fmt: skip
def test_tls_before_1_2_is_refused(secure, version, accepted):
    url, context = secure
    # Level 0 lets this client offer TLS 1.1 at all.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version

    def asked():
        return httpx.post(url, content=b"x", verify=context, trust_env=False).status_code

    if accepted:
        assert asked() == 200
    else:
        with pytest.raises(httpx.ConnectError, match=r"(?i)alert|protocol"):
            asked()
