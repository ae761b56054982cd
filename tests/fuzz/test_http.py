"""HTTP under mutants of what is asked of it: never our fault, and no exception in any log."""

from __future__ import annotations

import pytest

from ironwake_testing.quiet import quiet as quiet
from tests.controller.appliance import Appliance
from tests.controller.conftest import appliance as appliance
from tests.fuzz.http import API, LAN, at_the_api, on_the_lan
from tests.fuzz.mutate import mutants
from tests.fuzz.regressions import known


def test_what_is_well_formed_is_answered(appliance: Appliance) -> None:
    """The seeds themselves: all kinds of answers are among what they came to."""
    assert set(on_the_lan(LAN.seeds)) >= {"200", "204", "206", "400", "404"}
    appliance.enrol()
    assert set(at_the_api(appliance, API.seeds)) >= {"200", "201", "400", "401", "404", "421"}


def test_mutants_on_the_lan() -> None:
    """Fifteen hundred, of loaders and agents."""
    found = on_the_lan(mutants(LAN, 1, 1500))
    assert set(found) >= {"200", "204", "206", "400", "404", "422", "silence"}


def test_mutants_at_the_api(appliance: Appliance) -> None:
    """A thousand, of people and of our own services."""
    appliance.enrol()
    found = at_the_api(appliance, mutants(API, 1, 1000))
    assert set(found) >= {"200", "400", "401", "404", "421", "422", "silence"}


def test_what_was_found_stays_mended(appliance: Appliance) -> None:
    """Every request that once did harm, at both services."""
    on_the_lan(known("http"))
    at_the_api(appliance, known("http"))


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(100, 105))
def test_many_mutants(appliance: Appliance, seed: int) -> None:
    """A hundred thousand, half of them at each service."""
    appliance.enrol()
    on_the_lan(mutants(LAN, seed, 10_000))
    at_the_api(appliance, mutants(API, seed, 10_000))
