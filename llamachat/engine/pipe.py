"""How frames look on the pipe between llamachat and its engine process.

A frame is a header and a body:

    2 bytes   b"lc"
    1 byte    version of this protocol
    1 byte    0
    4 bytes   length of the body, little-endian
    ...       the body, MessagePack: a map with the frame's fields (protocol.py) and "type", its name
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import msgspec

from llamachat.engine.protocol import Frame

VERSION = 1
_HEADER = struct.Struct("<2sBBI")
_MAGIC = b"lc"
_LARGEST = 256 << 20


class FrameError(Exception):
    """What came through the pipe is no frame, or only a part of one."""


_encode = msgspec.msgpack.Encoder().encode


def pack(frame: Frame) -> bytes:
    """A frame as bytes for the pipe."""
    body = _encode(frame)
    return _HEADER.pack(_MAGIC, VERSION, 0, len(body)) + body


class FrameReader:
    """Frames of one direction from a blocking `read(n) -> at most n bytes`, empty at the end."""

    def __init__(self, read: Callable[[int], bytes], kind: Any) -> None:
        self._read = read
        self._decode = msgspec.msgpack.Decoder(kind).decode

    def next(self) -> Any:
        """The next frame, or None at the end of the pipe. Raises FrameError."""
        header = self._exactly(_HEADER.size)
        if not header:
            return None
        magic, version, _, length = _HEADER.unpack(header)
        if magic != _MAGIC:
            raise FrameError(f"expected a frame, found {header!r}")
        if version != VERSION:
            raise FrameError(f"a frame of version {version}, expected {VERSION}")
        if length > _LARGEST:
            raise FrameError(f"a frame of {length:,} bytes")
        body = self._exactly(length)
        if len(body) < length:
            raise FrameError("the pipe ended at the start of a frame's body")
        try:
            return self._decode(body)
        except msgspec.MsgspecError as error:
            raise FrameError(f"an unreadable frame: {error}") from error

    def _exactly(self, size: int) -> bytes:
        """`size` bytes, or none at the end of the pipe."""
        data = b""
        while len(data) < size:
            part = self._read(size - len(data))
            if not part:
                if data:
                    raise FrameError(f"half a frame: {len(data)} of {size} bytes")
                return b""
            data += part
        return data
