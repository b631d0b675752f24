"""ZIP files that have exactly one form: stored entries in order, no dates, no extras, no comments, nothing between or behind.

A file is read by taking it apart, putting it together again, and comparing: no byte of it is outside of what is checked.
Structures as in PKWARE's APPNOTE 6.3, 4.3; any unzip reads them.
"""

from __future__ import annotations

import re
import struct
from binascii import crc32
from collections.abc import Mapping

from memfold.verifier.refusing import Refused

LOCAL, CENTRAL, END = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I"), struct.Struct("<4s4H2IH")
LOCAL_MARK, CENTRAL_MARK, END_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
VERSION, UNIX, NEW_YEAR_1980, READABLE = 20, 3 << 8, 0x21, 0o100644 << 16
MOST_FILES, MOST_BYTES = 0xFFFF - 1, 0xFFFFFFFF - 1
SAFE_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*(/[a-z0-9][a-z0-9_.-]*)*")


def zip_of(files: Mapping[str, bytes]) -> bytes:
    """The one ZIP of some files, in their order. Raises ValueError where they are too many or too large for it."""
    parts: list[bytes] = []
    directory: list[bytes] = []
    at = 0
    for name, data in files.items():
        common = (0, 0, 0, NEW_YEAR_1980, crc32(data), len(data), len(data), len(name), 0)
        parts += [LOCAL.pack(LOCAL_MARK, VERSION, *common), name.encode("ascii"), data]
        directory.append(CENTRAL.pack(CENTRAL_MARK, VERSION | UNIX, VERSION, *common, 0, 0, 0, READABLE, at))
        directory.append(name.encode("ascii"))
        at += LOCAL.size + len(name) + len(data)
    tail = b"".join(directory)
    if len(files) > MOST_FILES or at + len(tail) > MOST_BYTES:
        raise ValueError(f"{len(files)} files of {at} bytes are too much for one ZIP without extensions")
    end = END.pack(END_MARK, 0, 0, len(files), len(files), len(tail), at, 0)
    return b"".join([*parts, tail, end])


def files_of(data: bytes, where: str) -> dict[str, bytes]:
    """The files of a ZIP that `zip_of` made. Raises Refused."""
    files: dict[str, bytes] = {}
    at = 0
    while data[at : at + 4] == LOCAL_MARK and len(data) - at >= LOCAL.size:
        crc, size, _, length, _ = LOCAL.unpack_from(data, at)[6:]
        start = at + LOCAL.size + length
        name = data[at + LOCAL.size : start].decode("ascii", "replace")
        content = data[start : start + size]
        if not SAFE_NAME.fullmatch(name) or name in files or len(content) < size:
            raise Refused(
                where, f"the entry at byte {at} has a bad name, stands there twice, or is cut off: {name!r}"
            )
        if crc32(content) != crc:
            raise Refused(name, "its bytes do not have the checksum of the ZIP")
        files[name] = content
        at = start + size
    if not files:
        raise Refused(where, "it is not a bundle: it does not begin as a ZIP of stored files")
    again = zip_of(files)
    if again != data:
        pairs = enumerate(zip(again, data))
        differs = next((number for number, (one, other) in pairs if one != other), min(len(again), len(data)))
        raise Refused(where, f"its structure is not the one form that is accepted, from byte {differs} on")
    return files
