"""zstd by libzstd itself: without a process, without a pipe, and without Python's lock.

What comes out is bounded by the room that is given: a frame that would become more is an error.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import cache
from typing import Self

from ironwake.errors import BrokenError
from ironwake.pack import BLOCK, LARGEST_FRAME

_NAME = "libzstd.so.1"


class FrameError(BrokenError):
    """Bytes that are not the frames that they should be."""


class _Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer (zstd.h): the same three words."""

    _fields_ = (
        ("at", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("place", ctypes.c_size_t),
    )


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_NAME)
    except OSError as error:
        raise BrokenError(f"{_NAME} cannot be loaded: {error}", "build the ramdisk anew") from None
    library.ZSTD_createDCtx.restype = ctypes.c_void_p
    library.ZSTD_freeDCtx.argtypes = [ctypes.c_void_p]
    library.ZSTD_decompressDCtx.restype = ctypes.c_size_t
    library.ZSTD_decompressDCtx.argtypes = [
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t)
    ]
    library.ZSTD_decompressStream.restype = ctypes.c_size_t
    library.ZSTD_decompressStream.argtypes = [
        *(ctypes.c_void_p, ctypes.POINTER(_Buffer), ctypes.POINTER(_Buffer))
    ]
    library.ZSTD_createCCtx.restype = ctypes.c_void_p
    library.ZSTD_freeCCtx.argtypes = [ctypes.c_void_p]
    library.ZSTD_compressCCtx.restype = ctypes.c_size_t
    library.ZSTD_compressCCtx.argtypes = [
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t),
        ctypes.c_int,
    ]
    library.ZSTD_isError.argtypes = [ctypes.c_size_t]
    library.ZSTD_getErrorName.argtypes = [ctypes.c_size_t]
    library.ZSTD_getErrorName.restype = ctypes.c_char_p
    return library


class _Context:
    """For one thread at a time; a `with` block gives its memory back."""

    def __init__(self) -> None:
        self._library = _library()
        self._context = self._library.ZSTD_createDCtx()
        if not self._context:
            raise BrokenError("there is no memory for zstd", "give this machine more memory")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._library.ZSTD_freeDCtx(self._context)


class Decompressor(_Context):
    """Frames that are there as a whole."""

    def frames(self, packed: memoryview, plain: memoryview) -> None:
        """Decompress frames that follow each other into exactly this room.

        :param packed: writable memory, as all that ctypes gives to a library by address
        :raises FrameError: they are no frames, or become less or more
        """
        count = self._library.ZSTD_decompressDCtx(
            self._context, _address(plain), len(plain), _address(packed), len(packed)
        )
        if self._library.ZSTD_isError(count):
            name = self._library.ZSTD_getErrorName(count).decode()
            raise FrameError(f"what came cannot be decompressed: {name}")
        if count != len(plain):
            raise FrameError(f"what came became {count} bytes, and should be {len(plain)}")


class Stream(_Context):
    """Frames of any length, as they come. It takes no window longer than zstd's own limit of
    128 MiB, which is memory that a small machine has not.

    :param room: bytes of memory, and so of each piece that comes out but the last
    """

    def __init__(self, room: int = 1 << 20) -> None:
        super().__init__()
        self._room = memoryview(bytearray(room))
        self._out = _Buffer(_address(self._room), room, 0)
        self._inside = True  # of a frame: nothing at all is no frame either

    def feed(self, packed: bytes) -> Iterator[memoryview]:
        """Take the next bytes. What comes out is valid until the next is asked for.

        :raises FrameError: they are no frames
        """
        held = ctypes.c_char_p(packed)
        source = _Buffer(ctypes.cast(held, ctypes.c_void_p), len(packed), 0)
        left = int(self._inside)
        # What is whole and given out is not asked for more: that would begin the next frame.
        while source.place < source.size or (left and self._is_full):
            yield from self._taken() if self._is_full else ()
            left = self._library.ZSTD_decompressStream(
                self._context, ctypes.byref(self._out), ctypes.byref(source)
            )
            if self._library.ZSTD_isError(left):
                name = self._library.ZSTD_getErrorName(left).decode()
                raise FrameError(f"what came cannot be decompressed: {name}")
            self._inside = left != 0

    def close(self) -> Iterator[memoryview]:
        """Say that nothing more comes: the last piece.

        :raises FrameError: a frame is cut off
        """
        if self._inside:
            raise FrameError("what came cannot be decompressed: it is cut off")
        yield from self._taken()

    @property
    def _is_full(self) -> bool:
        return bool(self._out.place == self._out.size)

    def _taken(self) -> Iterator[memoryview]:
        if self._out.place:
            yield self._room[: self._out.place]
        self._out.place = 0


class Compressor:
    """One context, for one thread; its memory goes with it."""

    def __init__(self, level: int = 3) -> None:
        self._library = _library()
        self._level = level
        self._room = memoryview(bytearray(LARGEST_FRAME))
        self._context = self._library.ZSTD_createCCtx()
        if not self._context:
            raise BrokenError("there is no memory for zstd", "give this machine more memory")

    def __del__(self) -> None:
        self._library.ZSTD_freeCCtx(getattr(self, "_context", None))

    def frame(self, plain: memoryview) -> bytes:
        """One frame of at most a block of a pack.

        :param plain: writable memory, as all that ctypes gives to a library by address
        :raises FrameError: it is more than a block
        """
        if len(plain) > BLOCK:
            raise FrameError(f"a block has at most {BLOCK} bytes, not {len(plain)}")
        count = self._library.ZSTD_compressCCtx(
            *(self._context, _address(self._room), len(self._room)),
            *(_address(plain), len(plain), self._level),
        )
        if self._library.ZSTD_isError(count):
            name = self._library.ZSTD_getErrorName(count).decode()
            raise FrameError(f"a block cannot be compressed: {name}")
        return bytes(self._room[:count])


def _address(room: memoryview) -> int:
    return ctypes.addressof((ctypes.c_char * len(room)).from_buffer(room))
