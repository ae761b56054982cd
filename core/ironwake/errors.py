"""Errors say what happened, to what, and what to do next; the class says who is at fault.

IronwakeError
├── InputError     the caller said something wrong: nothing was done (HTTP 422, exit code 2)
│   ├── TooLargeError   more than anybody has to say (HTTP 413)
│   └── TooSlowError    it did not come in time (HTTP 408)
├── UnknownError   what was named does not exist (HTTP 404, exit code 3)
├── RefusedError   understood, and refused because of the present state (HTTP 409, exit code 4)
├── GoneError      it was there, it was used up, it will not come back (HTTP 410, exit code 4)
└── BrokenError    we are at fault: a file, a disk, a peer of ours failed (HTTP 503, exit code 5)
"""

from __future__ import annotations


class IronwakeError(Exception):
    """`what` happened, what to do (`next_step`), and `where`: a field, or a file and line."""

    status = 500
    exit_code = 1

    def __init__(self, what: str, next_step: str = "", where: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step
        self.where = where

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        step = f"; {self.next_step}" if self.next_step else ""
        return f"{place}{self.what}{step}"


class InputError(IronwakeError):
    status = 422
    exit_code = 2


class TooLargeError(InputError):
    status = 413


class TooSlowError(InputError):
    status = 408


class UnknownError(IronwakeError):
    status = 404
    exit_code = 3


class RefusedError(IronwakeError):
    status = 409
    exit_code = 4


class GoneError(IronwakeError):
    status = 410
    exit_code = 4


class BrokenError(IronwakeError):
    status = 503
    exit_code = 5


BY_STATUS: dict[int, type[IronwakeError]] = {
    kind.status: kind
    for kind in (
        InputError,
        TooLargeError,
        TooSlowError,
        UnknownError,
        RefusedError,
        GoneError,
        BrokenError,
    )
}
