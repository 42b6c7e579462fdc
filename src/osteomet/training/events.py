"""TensorBoard event files, written without TensorBoard: a scalar a record.

A record is its length, a checksum of that, a message, and a checksum of it; the message is a protocol buffer.

References
----------
TFRecord: https://www.tensorflow.org/tutorials/load_data/tfrecord
Protocol buffers: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

_POLYNOMIAL = 0x82F63B78  # of CRC-32C (Castagnoli), bits reversed


def _table() -> list[int]:
    """Checksum of each byte."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return table


_BYTES = _table()


def crc32c(data: bytes) -> int:
    """CRC-32C of some bytes.

    Examples
    --------
    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _BYTES[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


class EventFile:
    """One file of scalars; each call appends whole records."""

    def __init__(self, path: Path, *, time_s: float, first_step: int) -> None:
        self._path = path
        started = b"\x08\x01"  # SessionLog.START: what an earlier file says of later steps is void
        path.write_bytes(
            _record(_event(time_s, 0) + _bytes(3, b"brain.Event:2"))
            + _record(_event(time_s, first_step) + _bytes(7, started))
        )

    def write(self, scalars: Mapping[str, float], *, step: int, time_s: float) -> None:
        """Append scalars by tag."""
        with self._path.open("ab") as file:
            for tag, value in scalars.items():
                summary = _bytes(1, _bytes(1, tag.encode()) + b"\x15" + struct.pack("<f", value))
                file.write(_record(_event(time_s, step) + _bytes(5, summary)))


def _event(time_s: float, step: int) -> bytes:
    """Head of an event: when, and at which step."""
    return b"\x09" + struct.pack("<d", time_s) + b"\x10" + _varint(step)


def _bytes(field: int, data: bytes) -> bytes:
    """A field of bytes."""
    return bytes([field << 3 | 2]) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    """Seven bits a byte, lowest first."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _record(message: bytes) -> bytes:
    """Length, message, and a masked checksum of each."""
    length = struct.pack("<Q", len(message))
    return length + _masked(length) + message + _masked(message)


def _masked(data: bytes) -> bytes:
    """Checksum, rotated and shifted as the format asks."""
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
