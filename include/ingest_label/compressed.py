"""Compressed files, unpacked in memory within bounds: a few bytes can stand for gigabytes."""

from __future__ import annotations

import io
import zipfile

import pyarrow as pa

from include.errors import DataContractError, bounded
from include.ingest_label.checks import MAX_FILE_BYTES

ENDINGS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".zip": "zip"}
# Tables of text shrink to a fifth or a twentieth; the highest ratio of gzip is 1032. What is small
# may be of one repeated value.
MAX_RATIO, SMALL_BYTES = 200, 64 * 2**20
_CHUNK = 4 * 2**20


def unpacked(content: bytes, path: str) -> tuple[bytes, str]:
    """Unpack a file, if its ending says that it is packed.

    Returns
    -------
    bytes
        The file inside.
    str
        The path without the ending.

    Raises
    ------
    DataContractError
        It cannot be unpacked, is larger inside than a limit, or is a zip of several files.
    """
    ending = next((each for each in ENDINGS if path.endswith(each)), None)
    if ending is None:
        return content, path
    limit = min(MAX_FILE_BYTES, max(SMALL_BYTES, MAX_RATIO * len(content)))
    try:
        inside = (
            _zipped(content, path, limit) if ending == ".zip" else _stream(content, ending, limit)
        )
    except (
        OSError,
        EOFError,
        ValueError,
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise DataContractError(
            f"{path}: cannot be unpacked ({bounded(str(error), 300)}). Land it again, whole."
        ) from None
    if len(inside) > limit:
        raise DataContractError(
            f"{path}: must have at most {limit:,} bytes when unpacked ({MAX_RATIO} times its size, "
            f"or {SMALL_BYTES:,}). Land it unpacked, or in several files."
        )
    return inside, path.removesuffix(ending)


def _stream(content: bytes, ending: str, limit: int) -> bytes:
    with pa.input_stream(pa.BufferReader(content), compression=ENDINGS[ending]) as stream:
        return _up_to(stream, limit)


def _zipped(content: bytes, path: str, limit: int) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = [each for each in archive.infolist() if not each.is_dir()]
        if len(files) != 1:
            raise DataContractError(
                f"{path}: must be a zip of one file, but has {len(files)}. Land them one by one."
            )
        with archive.open(files[0]) as stream:
            return _up_to(stream, limit)


def _up_to(stream: io.IOBase | pa.NativeFile, limit: int) -> bytes:
    """Read at most one byte more than the limit."""
    found = bytearray()
    while len(found) <= limit and (chunk := stream.read(min(_CHUNK, limit + 1 - len(found)))):
        found += chunk
    return bytes(found)
