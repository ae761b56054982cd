"""Documents of which a part is made from the code: what stands between two comments."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

_BEGIN, _END = "<!-- made by make docs -->\n", "\n<!-- until here -->"


def renewed(text: str, made: str) -> str:
    """The document `text` with `made` as its made part."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    return f"{before}{begin}{made}{end}{after}"


def main(document: Callable[[], str]) -> None:
    """Renew the file that the command line names."""
    file = Path(sys.argv[1])
    file.write_text(renewed(file.read_text(encoding="utf-8"), document()), encoding="utf-8")
