"""Datagrams that once ended something, or were answered wrongly: replayed with every fast run.

`regressions/TARGET.txt` has one on each line, in hexadecimal, and behind a `#` what it did.
Whatever fuzzing finds goes there first, and fails; then the service is mended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

_FOLDER = Path(__file__).parent / "regressions"


def known(target: str) -> list[bytes]:
    """Those of one target."""
    lines = (_FOLDER / f"{target}.txt").read_text().splitlines()
    texts = [line.partition("#")[0].strip() for line in lines]
    return [bytes.fromhex(text) for text in texts if text]


def bear(target: str, test: Callable[[bytes], None], datagrams: Iterable[bytes]) -> None:
    """Have `test` judge each of them; a failure says the line that belongs into the file."""
    for data in datagrams:
        try:
            test(data)
        except Exception as error:
            error.add_note(f"tests/fuzz/regressions/{target}.txt: {data.hex()}")
            raise
