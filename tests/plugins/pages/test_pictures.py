"""The route of pictures, behind Airflow's own check of a login; the auth manager is a double.

`tests/end_to_end/test_roles.py` asks a real API server.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib

import pytest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api import security
from airflow.models.dag import DagModel
from fastapi import FastAPI
from fastapi.testclient import TestClient
from jwt import InvalidTokenError

from include.errors import ServiceUnavailable
from include.lake.files import LakeFiles
from plugins.flywheel_plugin import FlywheelPlugin
from plugins.hooks.lake import LakeHook
from scripts.stack.settings import REPO

DAY, ITEM = "2024-05-01", "36d1cd0c87cda2eb"
SECRET = "5ec4e7" + 10 * "0"
ADDRESS = f"/flywheel/digits/pictures/{DAY}/{ITEM}.png"


def png() -> bytes:
    """Make a PNG of one grey pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\x00\x7f")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


class AuthManager:
    """Knows two people: `ann` may read the questions of digits, `bob` those of nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, DagAccessEntity, str]] = []

    async def get_user_from_token(self, token: str) -> str:
        if token not in ("ann", "bob"):
            raise InvalidTokenError
        return token

    def is_authorized_dag(self, *, method, access_entity, details, user) -> bool:
        self.asked.append((user, method, access_entity, details.id))
        return user == "ann" and details.id == "digits__annotate"


@pytest.fixture
def auth_manager(monkeypatch):
    double = AuthManager()
    monkeypatch.setattr(security, "get_auth_manager", lambda: double)
    monkeypatch.setattr(DagModel, "get_team_name", lambda dag_id: None)  # no teams, no database
    return double


@pytest.fixture
def ask(auth_manager):
    """Ask as a person: by the header of a client, or by the cookie of Airflow's pages."""
    (plugged,) = FlywheelPlugin.fastapi_apps
    server = FastAPI()
    server.mount(plugged["url_prefix"], plugged["app"])
    client = TestClient(server)

    def get(address=ADDRESS, who="ann", by="header", method="GET"):
        client.cookies.clear()
        if by == "cookie":
            client.cookies.set("_token", who)
        headers = {"Authorization": f"Bearer {who}"} if who and by == "header" else {}
        return client.request(method, address, headers=headers)

    return get


@pytest.fixture
def picture(home):
    LakeFiles(LakeHook().lake).write(f"digits/pictures/{DAY}/{ITEM}.png", png())
    return home / "lake" / "digits" / "pictures" / DAY / f"{ITEM}.png"


@pytest.mark.parametrize("by", ["header", "cookie"])
def test_who_may_read_the_questions_gets_the_picture(ask, auth_manager, picture, by):
    answer = ask(by=by)
    assert (answer.status_code, answer.content) == (200, png())
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"].startswith("private")
    assert answer.headers["content-security-policy"] == "default-src 'none'"
    assert auth_manager.asked == [("ann", "GET", DagAccessEntity.HITL_DETAIL, "digits__annotate")]


def test_nobody_gets_it_without_a_login(ask, picture):
    answer = ask(who="")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})
    assert ask(ADDRESS.replace(ITEM, "0" * 16), who="").status_code == 401, "tells what there is"
    assert ask(who="eve").status_code == 403, "a token that nobody has signed"


def test_who_may_not_see_the_dag_is_refused_and_learns_nothing(ask, picture):
    refused = [ask(who="bob"), ask(ADDRESS.replace(ITEM, "0" * 16), who="bob")]
    assert [(one.status_code, one.json()) for one in refused] == [
        (403, {"detail": "Forbidden"})
    ] * 2
    assert ask(ADDRESS.replace("digits", "votes")).status_code == 403, "another use case's"


@pytest.mark.parametrize(
    "path",
    [
        "digits/pictures/../SECRET", "digits/pictures/..%2f..%2f/SECRET",
        "digits/pictures/2024-05-01/..%2f..%2fSECRET", "digits/pictures/%2e%2e/SECRET",
        "digits/pictures/2024-05-01/%2e%2e%5cSECRET", "digits/pictures/2024-05-01/.SECRET",
        "digits/pictures/2024-05/SECRET%00", "digits/pictures/2024-05-01/SECRET%0a",
        "digits/pictures//SECRET", "digits/features/2024-05-01/SECRET", "digits/SECRET",
        "digits/pictures/2024-05-01/readme", "digits/pictures/2024-05%0a/SECRET",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_folder(ask, home, picture, path):
    for folder in (picture.parent, picture.parents[1], picture.parents[2], home / "lake"):
        for name in (f"{SECRET}.png", f".{SECRET}.png", "readme.png"):
            (folder / name).write_bytes(png())
    assert ask(ADDRESS.replace(ITEM, SECRET)).content == png(), "this one may be seen"
    address = f"/flywheel/{path.replace('SECRET', SECRET)}.png"
    assert ask(address).status_code in (403, 404)


def test_a_link_out_of_the_lake_is_not_followed(ask, home, picture):
    outside = home / "outside.png"
    outside.write_bytes(png())
    picture.unlink()
    picture.symlink_to(outside)
    assert ask().status_code == 404


def test_only_a_png_is_given(ask, picture):
    for content in (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", b"GIF89a", b""):
        picture.write_bytes(content)
        assert ask().status_code == 404
    for other in (".svg", ".jpg", "", ".png.html"):
        assert ask(ADDRESS.removesuffix(".png") + other).status_code == 404


def test_there_is_nothing_but_pictures(ask, picture):
    for path in ("/", "/docs", "/redoc", "/openapi.json"):
        assert ask(f"/flywheel{path}").status_code == 404
    for method in ("POST", "PUT", "DELETE"):
        assert ask(method=method).status_code == 405


def test_a_lake_that_does_not_answer_is_no_missing_picture(ask, monkeypatch, picture):
    def fails(*given):
        raise ServiceUnavailable("s3://secret-bucket does not answer")

    monkeypatch.setattr(LakeFiles, "read", fails)
    answer = ask()
    assert answer.status_code == 503
    assert "secret-bucket" not in answer.text


def test_a_process_that_answers_no_requests_does_not_make_the_application():
    """Each process of Airflow loads plugins: scheduler, tasks, Dag processor."""
    program = "import plugins.flywheel_plugin, sys; print('plugins.pages.app' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPO, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False", "import plugins.pages.app where a request comes"
