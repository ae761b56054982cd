"""The route table as a whole: every route has its guard, and no name leads anywhere else."""

from __future__ import annotations

from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwake_http import routing
from ironwake_http.routing import Access
from ironwake_http.table import ROUTES
from tests.http.rig import ARMED, TOKEN, UNKNOWN_TOKEN, Rig, run

# What each route promises to somebody who has nothing: a new route must be entered here.
DECISIONS = {
    "/boot/{mac}/{script}": (Access.MACHINE, "a script for the machine that is named"),
    "/grub/grub.cfg": (Access.ANYONE, "the same script for all"),
    "/sb/{file*}": (Access.ANYONE, "public loaders"),
    "/ipxe/{file*}": (Access.ANYONE, "public loaders"),
    "/artifacts/{sha256}/{file}": (Access.ANYONE, "public bytes, by their hash"),
    "/media/{sha256}/{path*}": (Access.ANYONE, "public bytes, by the hash of their medium's table"),
    "/deployments/{token}/order": (Access.TOKEN, "nothing without the token"),
    "/deployments/{token}/answers/{file}": (Access.TOKEN, "nothing without the token"),
    "/deployments/{token}/callbacks": (Access.TOKEN, "nothing without the token"),
    "/deployments/{token}/reports": (Access.TOKEN, "nothing without the token"),
    "/deployments/{token}/capture/{part}": (Access.TOKEN, "nothing without the token"),
    "/health/{token}": (Access.TOKEN, "nothing without the token"),
    "/healthz": (Access.ANYONE, "that we run"),
}

GUARDED = [route for route in ROUTES if route.access is Access.TOKEN]


def test_every_route_has_a_decision() -> None:
    """The table and the decisions are the same set, and each states the same access."""
    assert {route.pattern: route.access for route in ROUTES} == {
        pattern: access for pattern, (access, _) in DECISIONS.items()
    }


@pytest.mark.parametrize("route", ROUTES, ids=[route.pattern for route in ROUTES])
def test_every_route_refuses_other_methods(route: routing.Route[object]) -> None:  # type: ignore[type-var]
    """A method that a route does not name does nothing, and the reply names those that do."""

    async def test(rig: Rig) -> None:
        target = route.pattern.replace("*", "")
        for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} - {*route.methods}:
            reply = await rig.ask(target, method)
            assert reply.status == 405
            assert reply.field("Allow") == ", ".join(route.methods)
        assert rig.controller.attempts == 0

    run(test)


@pytest.mark.parametrize("route", GUARDED, ids=[route.pattern for route in GUARDED])
@pytest.mark.parametrize("token", ["", "0", "x" * 64, "A1" * 32, "%00" * 64, "a1" * 31 + "%61%0a"])
def test_tokens_that_are_none_reach_nobody(route: routing.Route[object], token: str) -> None:  # type: ignore[type-var]
    """What is not 64 digits is no token: 404, and the controller never hears of it."""

    async def test(rig: Rig) -> None:
        target = route.pattern.replace("{token}", token).replace("{file}", "preseed.cfg")
        reply = await rig.ask(target, route.methods[0])
        assert reply.status == 404
        assert reply.body.startswith(b"# ")
        assert rig.controller.attempts == 0

    run(test)


PARTS = st.sampled_from(
    ["boot", "sb", "grub", "grub.cfg", "artifacts", "deployments", "order", "answers", "callbacks",
     "health", "healthz", "preseed.cfg", "boot.ipxe", str(ARMED), TOKEN, UNKNOWN_TOKEN, "..", ""]
)  # fmt: skip
NAMES = PARTS | st.text(max_size=20).map(quote) | st.binary(max_size=12).map(quote_from_bytes)
RAW = st.binary(max_size=40).filter(lambda raw: b"\n" not in raw)


@settings(max_examples=15)
@given(
    st.lists(st.lists(NAMES, max_size=6).map("/".join).map(str.encode) | RAW, min_size=20),
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "OPTIONS"]),
)
def test_no_target_is_our_fault(targets: list[bytes], method: str) -> None:
    """Whatever is asked for, by any method, with a controller that works: never a 5xx."""

    async def test(rig: Rig) -> None:
        for target in targets:
            assert (await rig.ask(b"/" + target, method)).status < 500

    run(test)


@given(st.text(max_size=60))
def test_any_target_is_cut_into_parts(target: str) -> None:
    """No target, however strange, gives an empty part, or raises."""
    parts, query = routing.split(target)
    assert all(parts)
    assert query in target
    routing.find(ROUTES, parts)


def test_targets_in_other_forms() -> None:
    """Absolute targets, queries, fragments and doubled slashes lead to the same place."""
    for target in ("/sb/x", "//sb//x", "http://a:80/sb/x", "/sb/x#y", "/%73b/x/"):
        assert routing.split(target) == (("sb", "x"), "")
    assert routing.split("/a?b=/c?d") == (("a",), "b=/c?d")
    assert routing.split("/a%2fb") == (("a/b",), "")
