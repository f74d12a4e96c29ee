import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from include.serving.protocol import MAX_BODY_BYTES
from scripts.cluster import balancer, services
from scripts.cluster.settings import ClusterSettings
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


@pytest.fixture
def url(replicas):
    """Run a real nginx in front of two stand-ins."""
    try:
        nginx = services.tool("nginx")
    except services.ConfigError:
        pytest.skip("nginx is not installed; `make cluster-install` installs it")
    listen = f"127.0.0.1:{ClusterSettings.free_ports()['FLYWHEEL_SERVING_PORT']}"
    addresses = [f"127.0.0.1:{server.server_address[1]}" for server in replicas]

    def answers():
        try:
            return httpx.post(f"http://{listen}/", content=b"x", trust_env=False).is_success
        except httpx.TransportError:
            return False

    with folder_for_all_users() as home:
        place = services.ServicesPlace(home)
        folder = services.owned_folder(place, "balancer")
        text = balancer.configuration(listen, addresses, folder)
        services.write_owned(folder / "nginx.conf", text, "balancer")
        command = (nginx, "-c", str(folder / "nginx.conf"))
        process = subprocess.Popen(services.as_account("balancer", command))
        try:
            assert until(answers), process.poll()
            yield f"http://{listen}"
        finally:
            process.terminate()
            process.wait(timeout=10)


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
