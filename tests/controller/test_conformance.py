"""Every call that /openapi.json describes, with what fits its schemas and what does not."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from ironwake_controller import app
from ironwake_testing.quiet import quiet as quiet
from tests.controller.appliance import Appliance, Opened
from tests.controller.equipped import BMC, POWER, Hands
from tests.controller.wire import bearer, served_aside

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture
def world(opened: Opened, tmp_path: Path, hands: Hands) -> Appliance:
    """A controller that has something of everything, and switches nothing that is real."""
    made = opened(tmp_path, hands=hands)
    made.enrol()
    made.good("PUT", POWER, BMC)
    made.deploy()
    return made


@pytest.mark.parametrize("mode", GenerationMode)
def test_every_call_does_as_it_is_described(world: Appliance, mode: GenerationMode) -> None:
    """No call is our fault, and every answer is one that the description has."""
    ask_everything(world, mode, 12)


@pytest.mark.deep
@pytest.mark.parametrize("mode", GenerationMode)
def test_many_calls_do_as_they_are_described(world: Appliance, mode: GenerationMode) -> None:
    """The same, for longer."""
    ask_everything(world, mode, 300, 1)


def ask_everything(world: Appliance, mode: GenerationMode, examples: int, number: int = 0) -> None:
    """So many examples of each call, half of them about what there is."""
    schema = schemathesis.openapi.from_dict(app.routes(world.house).openapi())
    token, health_token = world.tokens()
    known = {"name": "node1", "token": token, "health_token": health_token}
    asked = 0
    with served_aside(world) as url, requests.Session() as session:
        session.trust_env = False
        for found in schema.get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()

            def ask(case: Any, about: bool) -> None:
                case.query.pop("wait", None)  # it would
                if about:
                    case.path_parameters.update(
                        {name: known[name] for name in known.keys() & case.path_parameters}
                    )
                headers = {"Authorization": bearer(case.path).partition(": ")[2]}
                response = case.call(base_url=url, session=session, headers=headers)
                case.validate_response(response, checks=CHECKS)

            chosen = given(operation.as_strategy(generation_mode=mode), st.booleans())
            health = list(HealthCheck)
            much = settings(max_examples=examples, database=None, suppress_health_check=health)
            with contextlib.suppress(Unsatisfiable):  # without any field, there is no wrong one
                seed(number)(much(chosen(ask)))()
                asked += 1
    assert asked > 25
