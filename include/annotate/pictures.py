"""Pictures of rows, as people see them: made or read by a worker, and kept beside the tables."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from include.errors import ConfigError, DataContractError, bounded
from include.labelling.asking import Item
from include.labelling.rounds import picture_path
from include.lake.files import LakeFiles
from include.lake.table import Lake
from include.use_cases.loader import labels_python_of
from include.use_cases.python_package import LABELS
from include.use_cases.schema import UseCase
from include.use_cases.sections.people import Picture

log = logging.getLogger(__name__)

MOST_PIXELS = 40_000_000
"""A scan of A4 at 600 dots per inch has 35 million; a picture of more would take a worker's memory:
three bytes for each. Our choice."""

Read = Callable[[str], bytes]
"""Reads a landed file by its path below the landing."""


def with_pictures(
    use_case: UseCase,
    partition: str,
    items: Sequence[Item],
    rows: Mapping[str, Mapping[str, Any]],
    picture: Picture,
    lake: Lake,
    read: Read | None,
) -> list[Item]:
    """Write the picture of each item into the lake, as PNG.

    An item whose picture cannot be made is asked about without one; the log has how many there are,
    and the first error.

    Parameters
    ----------
    use_case : UseCase
        Its `labels.py` may make them.
    partition, items : str and sequence of Item
        Of which round.
    rows : mapping of str to mapping
        The whole row of each item.
    picture : Picture
        Where they are from.
    lake : Lake
        Keeps them.
    read : callable or None
        Reads landed files, where `picture` names a column.

    Raises
    ------
    ConfigError
        `labels.py` lacks the function.
    DataContractError
        No item has a picture, and one could not be made.
    """
    make, files = _maker(use_case, picture, read), LakeFiles(lake)
    done, failed = [], []
    for one in items:
        path = picture_path(use_case, partition, one.item)
        try:
            content = make(dict(rows[one.item]))
            if content is not None:
                files.write(path, as_png(content))
        except DataContractError as error:
            failed.append(f"{one.key}: {error}")
            content = None
        done.append(replace(one, picture=None if content is None else path))
    if failed and not any(one.picture for one in done):
        raise DataContractError(
            f"{use_case.name}: labels.people.picture: none of the {len(items):,} pictures of "
            f"{partition} could be made, so nobody was asked. The first: {failed[0]} Mend that, or "
            "correct labels.people.picture."
        )
    if failed:
        log.warning("%s: %d items without picture: %s", use_case.name, len(failed), failed[0])
    return done


def as_png(content: bytes) -> bytes:
    """Return a picture as PNG, upright; one that is PNG already stays as it is.

    Raises
    ------
    DataContractError
        It is no PNG or JPEG file, or has too many pixels.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(content), formats=["PNG", "JPEG"]) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise DataContractError(
                    f"a picture may have {MOST_PIXELS:,} pixels at most, got {width} x {height}. "
                    "Land a smaller one."
                )
            image.load()
            if image.format == "PNG":
                return content
            # A camera notes how it was held; PNG has no CMYK.
            upright, written = ImageOps.exif_transpose(image), io.BytesIO()
            upright.convert("L" if upright.mode == "L" else "RGB").save(written, format="PNG")
            return written.getvalue()
    except Image.DecompressionBombError as error:
        raise DataContractError(
            f"a picture may have {MOST_PIXELS:,} pixels at most, got more: {error} Land a smaller "
            "one."
        ) from error
    except DataContractError:
        raise
    except Exception as error:  # Pillow raises many kinds; whatever it is, it is about this file
        raise DataContractError(
            f"a picture must be a whole PNG or JPEG file, got {len(content)} bytes that are not: "
            f"{error}. Land it again, or correct the function that makes it."
        ) from error


def _maker(
    use_case: UseCase, picture: Picture, read: Read | None
) -> Callable[[dict[str, Any]], bytes | None]:
    if picture.column is not None:
        if read is None:
            raise ConfigError(
                f"{use_case.name}: labels.people.picture.column is a file below the landing "
                "area. Pass `read`, such as `landing.read_path`."
            )
        column, reader = picture.column, read
        return lambda row: None if row[column] is None else reader(row[column])
    function = getattr(labels_python_of(use_case).module(LABELS), str(picture.python), None)
    if not callable(function):
        raise ConfigError(
            f"{use_case.name}/labels.py: must define the function {picture.python!r} that "
            f"labels.people.picture names. Write `def {picture.python}(row): ...`, which returns "
            "the bytes of a PNG or JPEG file, or None."
        )

    def made(row: dict[str, Any]) -> bytes | None:
        try:
            content = function(row)
        except Exception as error:  # whatever a use case's own Python raises, it is about this row
            told = bounded(f"{type(error).__name__}: {error}", 300)
            raise DataContractError(f"{picture.python} raised {told}.") from error
        if content is not None and not isinstance(content, bytes):
            raise DataContractError(
                f"{picture.python} must return bytes or None, got {type(content).__name__}."
            )
        return content

    return made
