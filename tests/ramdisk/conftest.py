"""A workshop for each test."""

from __future__ import annotations

from ironwake_testing.workshop import shop as shop
