"""What all shapes of the public API share; each noun has a module of its own (`…_shapes`)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

STRICT = ConfigDict(extra="forbid", strict=True)


class Problem(BaseModel):
    """Every error (RFC 9457): what happened, and what to do."""

    title: str
    status: int
    detail: str
    next_step: str = ""
    where: str = ""
