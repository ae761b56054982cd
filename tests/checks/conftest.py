"""A controller that was never used, for its OpenAPI."""

from __future__ import annotations

from tests.controller.conftest import appliance as appliance
