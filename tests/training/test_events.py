"""Event files, byte by byte."""

import struct
from pathlib import Path

from osteomet.training.events import EventFile, crc32c


def records(path: Path) -> list[bytes]:
    """Messages of a file, each checked against both of its checksums."""
    data, found = path.read_bytes(), []

    def masked(part: bytes) -> int:
        crc = crc32c(part)
        return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

    while data:
        length = struct.unpack("<Q", data[:8])[0]
        assert struct.unpack("<I", data[8:12])[0] == masked(data[:8])
        found.append(data[12 : 12 + length])
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked(found[-1])
        data = data[16 + length :]
    return found


def test_a_scalar_is_the_bytes_of_its_message(tmp_path: Path) -> None:
    path = tmp_path / "events"
    EventFile(path, time_s=1.0, first_step=0).write({"a": 0.5}, step=300, time_s=2.0)
    version, start, scalar = records(path)
    assert version.endswith(b"\x1a\x0dbrain.Event:2")
    assert start.endswith(b"\x3a\x02\x08\x01")
    time = b"\x09" + struct.pack("<d", 2.0)
    summary = b"\x0a\x08" + b"\x0a\x01a" + b"\x15" + struct.pack("<f", 0.5)
    assert scalar == time + b"\x10\xac\x02" + b"\x2a\x0a" + summary
