"""The picture of a digit, for people who tell which one it is."""

import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

SIDE = 8
BLACK = 16
ENLARGED = 21
"""So many pixels of the picture for each of the 8 x 8."""


def picture(row: Mapping[str, Any]) -> bytes:
    """Draw the 64 shades as a grey PNG file, 168 pixels square; three columns are always white.

    Shades run into each other: eight steps to a side are hard to read as a digit.
    """
    shades = np.array(
        [[row.get(f"shade_{line}_{column}") or 0 for column in range(SIDE)] for line in range(SIDE)]
    )
    size = SIDE * ENLARGED
    between = (np.arange(size) + 0.5) / ENLARGED - 0.5
    wide = [np.interp(between, range(SIDE), line) for line in shades]
    shades = np.array([np.interp(between, range(SIDE), column) for column in np.transpose(wide)]).T
    grey = (255 - 255 * shades / BLACK).astype(np.uint8)
    lines = b"".join(b"\0" + line.tobytes() for line in grey)  # each begins with its filter: none
    header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)  # 8 bits, grey
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    """Write one part of a PNG file: its length, name, content and checksum."""
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
