"""Passphrases of encrypted volumes: made once, in the order, and to whoever may ask."""

from __future__ import annotations

import pytest

from ironwake import wire
from ironwake.order import Order
from ironwake.parameters.model import SECRET_WORD
from ironwake.report import Grant
from tests.controller.appliance import MAC, Appliance
from tests.layout.rig import MIRRORED

NAME = "vg0-root-open"


@pytest.fixture
def sealed(appliance: Appliance) -> Appliance:
    """A machine, and a profile with one encrypted volume."""
    rows = "".join(f"  {line}\n" for line in MIRRORED.splitlines())
    appliance.profile("store", f"release: debian-12\nlayout:\n{rows}")
    appliance.enrol()
    return appliance


def deploy(appliance: Appliance, **more: object) -> str:
    body = {"profile": "store", **more}
    return str(appliance.good("POST", "/v1/machines/node1/deploy", body)["id"])


def order(appliance: Appliance) -> Order:
    token, _ = appliance.tokens()
    return wire.decode(Order, wire.decode(Grant, appliance.claim(token).content).text)


def test_the_order_and_the_person_get_the_same(sealed: Appliance) -> None:
    """One is made for each deployment; the history tells that somebody asked."""
    deployment = deploy(sealed)
    keys = sealed.good("GET", f"/v1/deployments/{deployment}/keys")["keys"]
    assert set(keys) == {NAME}
    assert len(keys[NAME]) == 29
    assert order(sealed).keys == keys
    assert "keys" in sealed.kinds()


def test_another_deployment_has_another(sealed: Appliance) -> None:
    """A disk that is given away is opened by nobody's later passphrase."""
    first = deploy(sealed)
    before = sealed.good("GET", f"/v1/deployments/{first}/keys")
    sealed.good("POST", f"/v1/deployments/{first}/cancel")
    assert sealed.good("GET", f"/v1/deployments/{deploy(sealed)}/keys") != before


def test_a_person_s_own_is_taken(sealed: Appliance) -> None:
    """For all volumes, or for one by its name."""
    deploy(sealed, keys={"": "open sesame"})
    assert order(sealed).keys == {NAME: "open sesame"}


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"nothing": "open sesame"}, "no encrypted volume 'nothing'"),
        ({"": "short"}, "can't be typed"),
        ({NAME: "tab\there now"}, "can't be typed"),
    ],
)
def test_what_cannot_be_a_passphrase_is_refused(
    sealed: Appliance, keys: dict[str, str], says: str
) -> None:
    """Nothing is armed then."""
    body = {"profile": "store", "keys": keys}
    reply = sealed.call("POST", "/v1/machines/node1/deploy", body)
    assert reply.status_code == 422
    assert says in reply.json()["detail"]


def test_it_stands_nowhere_else(sealed: Appliance) -> None:
    """Not in the dry runs, the view, the history, the machine; nor as it is in the database."""
    canary = "canary-of-a-passphrase"
    deployment = deploy(sealed, keys={"": canary})
    paths = (f"/v1/plan?mac={MAC}", "/internal/view", "/v1/events", "/v1/machines/node1",
             f"/v1/deployments/{deployment}", f"/v1/deployments/{deployment}/events")  # fmt: skip
    for path in paths:
        reply = sealed.call("GET", path)
        assert reply.status_code == 200, path
        assert canary not in reply.text
    assert SECRET_WORD in sealed.call("GET", paths[0]).text
    for file in sealed.settings.state_dir.glob("ironwake.sqlite*"):
        assert canary.encode() not in file.read_bytes()


def test_without_encryption_there_are_none(appliance: Appliance) -> None:
    """An empty answer, no error."""
    appliance.enrol()
    deployment = appliance.deploy()["id"]
    assert appliance.good("GET", f"/v1/deployments/{deployment}/keys") == {"keys": {}}
    assert appliance.call("GET", "/v1/deployments/none/keys").status_code == 404
