"""What a Windows image (WIM, ESD) says of itself: the XML at its end.

Source: Microsoft's "Windows Imaging File Format (WIM)" white paper. That XML is never packed.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

_MAGIC = b"MSWIM\0\0\0"
_HEADER = 208  # bytes
_XML = 72  # where its resource header stands: size (7 bytes), flags (1), offset, plain size
_PACKED = 4
_LARGEST = 2 << 20  # bytes
Read = Callable[[int, int], bytes]

_IMAGE = re.compile(r'(\d{1,4})">')
_NAME = re.compile(r"<NAME>([^<]{1,80})</NAME>")


def xml(read: Read, size: int) -> str:
    """The text, of a file of so many bytes; "" where it is none of these, or damaged.

    :param read: (offset in the file, size) → bytes
    """
    if size < _HEADER:
        return ""
    header = read(0, _HEADER)
    length, offset = struct.unpack_from("<QQ", header, _XML)
    flags, length = length >> 56, length & 0xFFFFFFFFFFFFFF
    if header[:8] != _MAGIC or flags & _PACKED or length > _LARGEST or offset + length > size:
        return ""
    return read(offset, length).decode("utf-16-le", "replace").lstrip("\ufeff")


def editions(text: str) -> str:
    """The images by index and name, as in `1: Windows 11 Home; 6: Windows 11 Pro`; "" for none."""
    found = []
    # Split, not searched to each one's end: a text of beginnings alone would take minutes.
    for part in text.split('<IMAGE INDEX="')[1:]:
        about, end, _ = part.partition("</IMAGE>")
        number = _IMAGE.match(about)
        if number and end:
            name = _NAME.search(about)
            found.append(f"{number[1]}: {name[1] if name else '?'}")
    return "; ".join(found)
