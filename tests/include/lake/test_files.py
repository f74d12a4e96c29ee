"""Files beside the tables: in a folder and in a bucket the same."""

from __future__ import annotations

import pytest

from include.errors import ConfigError, DataContractError, ServiceUnavailable
from include.lake.files import LakeFiles
from include.lake.s3 import s3_client
from include.lake.table import Lake
from tests.support.object_stores import object_store

FOLDER, OTHER = "digits/pictures/2024-05-01", "digits/pictures/2024-05-02"


@pytest.fixture(scope="module")
def bucket():
    with object_store() as url:
        options = {
            "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": url,
        }  # fmt: skip
        s3_client(options).create_bucket(Bucket="lake")
        yield Lake("s3://lake/below", options)


@pytest.fixture(params=["folder", "bucket"])
def files(request, tmp_path):
    folder = request.param == "folder"
    return LakeFiles(Lake(str(tmp_path)) if folder else request.getfixturevalue("bucket"))


def test_what_is_written_is_read_listed_replaced_and_removed_with_its_folder(files):
    files.write(f"{FOLDER}/b.png", b"1")
    files.write(f"{FOLDER}/a.png", b"2")
    files.write(f"{OTHER}/a.png", b"3")
    files.write(f"{FOLDER}/b.png", b"4")
    assert files.under(FOLDER) == [f"{FOLDER}/a.png", f"{FOLDER}/b.png"]
    assert [files.read(path) for path in files.under(FOLDER)] == [b"2", b"4"]
    assert (files.remove(FOLDER), files.remove(FOLDER)) == (2, 0)
    assert files.under(FOLDER) == []
    assert files.read(f"{OTHER}/a.png") == b"3"


def test_what_is_not_there_says_so(files):
    with pytest.raises(DataContractError, match=r"none\.png: there is no such file\. Run"):
        files.read(f"{FOLDER}/none.png")


@pytest.mark.parametrize(
    "path",
    ["../x", "a/../x", "a/..", "/a/b", "a//b", "a/.b", "a/b\n", "a", "a\\b/c", "a/b c", ""],
)
def test_no_path_leads_elsewhere(files, path):
    for call in (files.read, files.under, files.remove, lambda path: files.write(path, b"x")):
        with pytest.raises(ConfigError, match="must be plain names with '/' between them"):
            call(path)


def test_a_link_out_of_the_lake_is_no_file_of_it(tmp_path):
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"secret")
    lake = tmp_path / "lake"
    (lake / FOLDER).mkdir(parents=True)
    (lake / FOLDER / "a.png").symlink_to(outside)
    with pytest.raises(DataContractError, match="there is no such file"):
        LakeFiles(Lake(str(lake))).read(f"{FOLDER}/a.png")


def test_a_store_that_fails_is_no_missing_file(tmp_path):
    nobody = {
        "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }  # fmt: skip
    with pytest.raises(ServiceUnavailable, match=r"a\.png: could not be read"):
        LakeFiles(Lake("s3://lake", nobody)).read(f"{FOLDER}/a.png")
    (tmp_path / "digits").write_text("a file in the way")
    with pytest.raises(ServiceUnavailable, match=r"a\.png: could not be written"):
        LakeFiles(Lake(str(tmp_path))).write(f"{FOLDER}/a.png", b"x")
