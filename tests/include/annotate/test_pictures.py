"""Pictures: read off what landed, checked, and kept as PNG."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from include.annotate import pictures
from include.annotate.choosing import choose_round
from include.annotate.pictures import as_png
from include.errors import ConfigError, DataContractError
from include.ingest_label.landing import Landing
from include.lake.files import LakeFiles
from tests.include.conftest import writer
from tests.support.scans import DAY


def file_of(kind: str, size: tuple[int, int] = (30, 20)) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size, (10, 200, 30)).save(written, format=kind)
    return written.getvalue()


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    folder = tmp_path / "landing" / "scans" / "pictures"
    folder.mkdir(parents=True)
    (folder / "one.png").write_bytes(file_of("PNG"))
    (folder / "two page.jpg").write_bytes(file_of("JPEG"))
    (folder / "three.png").write_bytes(file_of("PNG")[:60])
    (folder / "link.png").symlink_to("/etc/hostname")
    (tmp_path / "secret.png").write_bytes(file_of("PNG"))
    return Landing(str(tmp_path / "landing"))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../secret.png", "must be named by its path below the landing"),
        ("/etc/passwd", "must be named by its path below the landing"),
        ("scans/../../secret.png", "must be named by its path below the landing"),
        ("scans/*/one.png", "must be named by its path below the landing"),
        ("", "must be named by its path below the landing"),
        ("scans/pictures/link.png", "it is a link, and links are not followed"),
        ("scans/pictures/none.png", "there is no such file"),
        ("scans/pictures", "there is no such file"),
        ("s" * 256 + "/one.png", "and each name in it 255, got"),
        ("scans/" * 200 + "one.png", "may have 1024 bytes"),
    ],
)
def test_only_a_file_below_the_landing_is_read(landing, path, words):
    with pytest.raises(DataContractError, match=words):
        landing.read_path(path)


def test_what_a_row_names_is_shown_and_what_is_damaged_is_left_out(make, lake, landing, caplog):
    columns = {"scan": "int64", "ink": "float64", "folds": "float64", "file": "string"}
    changed = {"columns": columns}
    scans = make({"picture": {"column": "file"}}, ingest=changed)
    names = ["scans/pictures/one.png", "scans/pictures/two page.jpg", "scans/pictures/three.png"]
    rows = pa.table(
        {
            "scan": [1, 2, 3, 4],
            "ink": [0.0] * 4,
            "folds": [0.0] * 4,
            "file": pa.array([*names, None], pa.string()),
        }
    )
    lake.table("scans", "clean").publish(rows, partition=DAY, schema=rows.schema, writer=writer(1))
    with pytest.raises(ConfigError, match="is a file below the landing area"):
        choose_round(scans, DAY, lake, writer(2))
    made = choose_round(scans, DAY, lake, writer(2), read=landing.read_path)
    shown = {one.key["scan"]: one.picture for one in made.items}
    assert [shown[scan] is not None for scan in (1, 2, 3, 4)] == [True, True, False, False]
    files = LakeFiles(lake)
    assert files.read(shown[1]) == file_of("PNG")
    with Image.open(io.BytesIO(files.read(shown[2]))) as picture:
        assert (picture.format, picture.size) == ("PNG", (30, 20))
    assert "1 items without picture" in caplog.text


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(pictures, "MOST_PIXELS", 599)
    with pytest.raises(DataContractError, match="599 pixels at most, got 30 x 20"):
        as_png(file_of("PNG"))


def bomb(side: int) -> bytes:
    """Make a PNG file that says it is large, and has no pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [7_000, 20_000, 2**31 - 1])
def test_a_picture_that_says_it_is_huge_leaves_the_others_of_the_round(make, lake, side, caplog):
    columns = {"scan": "int64", "ink": "float64", "folds": "float64", "file": "string"}
    scans = make({"picture": {"column": "file"}}, ingest={"columns": columns})
    names = {"scan": [1, 2], "ink": [0.0] * 2, "folds": [0.0] * 2, "file": ["bomb", "one"]}
    rows = pa.table(names)
    lake.table("scans", "clean").publish(rows, partition=DAY, schema=rows.schema, writer=writer(1))
    files = {"bomb": bomb(side), "one": file_of("PNG")}
    made = choose_round(scans, DAY, lake, writer(2), read=files.__getitem__)
    assert {one.key["scan"]: one.picture is not None for one in made.items} == {1: False, 2: True}
    assert "may have 40,000,000 pixels at most" in caplog.text


def test_a_jpeg_file_for_print_and_one_of_a_camera_that_was_turned_are_shown_upright():
    written = io.BytesIO()
    Image.new("CMYK", (30, 20), (0, 255, 255, 0)).save(written, format="JPEG")
    with Image.open(io.BytesIO(as_png(written.getvalue()))) as picture:
        red, green, blue = picture.getpixel((15, 10))
        assert (picture.mode, red > 240, green < 15, blue < 15) == ("RGB", True, True, True)
    written = io.BytesIO()
    turned = Image.new("RGB", (30, 20), "black")
    turned.paste("white", (0, 0, 8, 20))  # what the camera saw on its left
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by a quarter clockwise: the left is the upper edge
    turned.save(written, format="JPEG", exif=exif)
    with Image.open(io.BytesIO(as_png(written.getvalue()))) as picture:
        assert picture.size == (20, 30)
        upper, lower = picture.getpixel((10, 2)), picture.getpixel((10, 27))
        assert (min(upper) > 240, max(lower) < 15) == (True, True)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"<svg/>", file_of("BMP")])
def test_other_files_are_no_pictures(content):
    with pytest.raises(DataContractError, match="must be a whole PNG or JPEG file"):
        as_png(content)
