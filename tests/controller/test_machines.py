"""Enrolling, listing, changing and removing machines."""

from __future__ import annotations

import pytest

from tests.controller.appliance import MAC, Appliance

OTHER = "52:54:00:77:00:11"


def test_enrolling_again_changes_nothing(appliance: Appliance) -> None:
    """The same machine again is 200 and no news, in whatever notation its card is written."""
    assert (
        appliance.call("POST", "/v1/machines", {"name": "node1", "macs": [MAC]}).status_code == 201
    )
    again = {"name": "node1", "macs": [MAC.replace(":", "-").upper()]}
    reply = appliance.call("POST", "/v1/machines", again)
    assert reply.status_code == 200
    assert reply.json()["macs"] == [MAC]
    assert appliance.kinds() == ["enrolled"]


def test_fields_that_are_not_given_are_not_compared(appliance: Appliance) -> None:
    """An enrolment that says less than what is known is still the same machine."""
    appliance.enrol(labels={"rack": "a3"}, uuid="6d0c4a2e-0000-4000-8000-000000000001")
    body = {"name": "node1", "macs": [MAC]}
    assert appliance.call("POST", "/v1/machines", body).status_code == 200


def test_another_content_is_refused_by_field(appliance: Appliance) -> None:
    """A machine of that name with another card is 409, and says which field and how to change."""
    appliance.enrol()
    reply = appliance.call("POST", "/v1/machines", {"name": "node1", "macs": [OTHER]})
    assert reply.status_code == 409
    assert "macs" in reply.json()["detail"]
    assert "PATCH /v1/machines/node1" in reply.json()["next_step"]


def test_a_card_of_another_machine_is_refused_by_name(appliance: Appliance) -> None:
    """No card belongs to two machines: neither by enrolling nor by changing."""
    appliance.enrol()
    appliance.enrol("node2", OTHER)
    for method, path, body in (
        ("POST", "/v1/machines", {"name": "node3", "macs": [MAC]}),
        ("PATCH", "/v1/machines/node2", {"macs": [OTHER, MAC]}),
    ):
        reply = appliance.call(method, path, body)
        assert reply.status_code == 409
        assert "node1" in reply.json()["detail"]
    assert [len(entry.machine.macs) for entry in appliance.view().entries] == [1, 1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Node_1"),
        ("macs", []),
        ("macs", ["01:00:5e:00:00:01"]),
        ("macs", [MAC, MAC]),
        ("macs", "text"),
        ("uuid", "123"),
        ("architecture", "sparc"),
        ("labels", {"a": 1}),
        ("colour", "red"),
    ],
)
def test_wrong_fields_are_named(appliance: Appliance, field: str, value: object) -> None:
    """What is wrong with a machine is said with the field's name, and nothing is stored."""
    reply = appliance.call("POST", "/v1/machines", {"name": "node1", "macs": [MAC], field: value})
    assert reply.status_code == 422
    assert field in reply.json()["where"]
    assert appliance.good("GET", "/v1/machines")["items"] == []


def test_listing_filters_and_pages(appliance: Appliance) -> None:
    """Pages join to the whole list; labels, state and name choose from it."""
    for number in range(5):
        appliance.enrol(
            f"node{number}",
            f"52:54:00:77:00:2{number}",
            labels={"rack": "ab"[number % 2], "n": "1"},
        )
    names, after = [], ""
    while after is not None:
        page = appliance.good("GET", f"/v1/machines?limit=2&after={after}")
        names += [item["name"] for item in page["items"]]
        after = page["next"]
    assert names == [f"node{number}" for number in range(5)]

    def chosen(query: str) -> list[str]:
        return [item["name"] for item in appliance.good("GET", f"/v1/machines?{query}")["items"]]

    assert chosen("label=rack=b") == ["node1", "node3"]
    assert chosen("label=rack=b&label=n=2") == []
    appliance.deploy("node2")
    assert chosen("state=armed") == ["node2"]
    assert len(chosen("state=enrolled")) == 4
    assert chosen("name=ode4") == ["node4"]
    assert appliance.call("GET", "/v1/machines?label=rack").status_code == 422
    assert appliance.call("GET", "/v1/machines?state=happy").status_code == 422


def test_patch_changes_what_is_given(appliance: Appliance) -> None:
    """Other fields stay; the same again is no news; null is not a value."""
    appliance.enrol(labels={"rack": "a3"}, serial="S1")
    changed = appliance.good("PATCH", "/v1/machines/node1", {"labels": {"rack": "b1"}})
    assert (changed["labels"], changed["serial"]) == ({"rack": "b1"}, "S1")
    appliance.good("PATCH", "/v1/machines/node1", {"labels": {"rack": "b1"}})
    assert appliance.kinds() == ["enrolled", "changed"]
    assert appliance.call("PATCH", "/v1/machines/node1", {"serial": None}).status_code == 422


def test_cards_stay_while_it_is_deployed(appliance: Appliance) -> None:
    """Neither its cards nor the machine itself can be taken away under a live deployment."""
    appliance.enrol()
    appliance.deploy()
    assert appliance.call("PATCH", "/v1/machines/node1", {"macs": [OTHER]}).status_code == 409
    assert appliance.call("DELETE", "/v1/machines/node1").status_code == 409
    assert appliance.good("PATCH", "/v1/machines/node1", {"labels": {"a": "b"}})["state"] == "armed"


def test_removing_forgets_the_machine_and_keeps_its_history(appliance: Appliance) -> None:
    """Its card is free again, its past deployments are not the next machine's."""
    appliance.enrol()
    made = appliance.deploy()
    appliance.good("POST", f"/v1/deployments/{made['id']}/cancel")
    assert appliance.call("DELETE", f"/v1/machines/{MAC}").status_code == 204
    assert appliance.call("GET", "/v1/machines/node1").status_code == 404
    assert appliance.enrol("node1")["deployment"] is None
    assert appliance.good("GET", f"/v1/deployments/{made['id']}")["state"] == "cancelled"


def test_locked_machines_are_not_deployed(appliance: Appliance) -> None:
    """A lock refuses the deployment, shows in the view, and is lifted again."""
    appliance.enrol()
    assert appliance.good("POST", "/v1/machines/node1/lock")["locked"]
    reply = appliance.call("POST", "/v1/machines/node1/deploy", {"profile": "web"})
    assert reply.status_code == 409
    assert "unlock" in reply.json()["next_step"]
    assert appliance.view().entries[0].machine.locked
    assert not appliance.good("POST", "/v1/machines/node1/unlock")["locked"]
    assert appliance.deploy()["state"] == "armed"
