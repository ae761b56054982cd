"""Each remote driver against an emulator of what it speaks to, by way of its own process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ironwake.errors import BrokenError, InputError, IronwakeError, RefusedError
from ironwake_controller.power import drivers
from ironwake_controller.power.driver import Operation, Outcome, PowerState
from ironwake_controller.power.job import Job, Workers
from ironwake_testing import bmc
from ironwake_testing.bmc import PASSWORD, USER, IpmiBmc, RedfishBmc
from ironwake_testing.switched import Plug

MACS = ("52:54:00:77:00:10",)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    made = Workers(60)
    yield made
    made.close()


@pytest.fixture
def plug() -> Plug:
    return Plug()


@pytest.fixture
def redfish(tmp_path: Path, plug: Plug) -> Iterator[RedfishBmc]:
    with bmc.redfish(tmp_path, plug) as made:
        yield made


@pytest.fixture
def ipmi(tmp_path: Path) -> Iterator[IpmiBmc]:
    with bmc.ipmi(tmp_path) as made:
        yield made


def _redfish(made: RedfishBmc, **more: Any) -> dict[str, Any]:
    return {"address": made.url, "user": USER, "password": PASSWORD, "ca": made.ca, **more}


def _ipmi(made: IpmiBmc, **more: Any) -> dict[str, Any]:
    return {"address": made.address, "user": USER, "password": PASSWORD, **more}


def _do(
    workers: Workers, driver: str, settings: dict[str, Any], deed: str = "", cycle: bool = False
) -> Outcome:
    operation = Operation(deed) if deed else None
    return workers.carry_out(Job(driver, settings, "node1", MACS, operation, cycle))


def test_redfish_knows_every_operation(workers: Workers, redfish: RedfishBmc, plug: Plug) -> None:
    """On, off, restart and status over verified TLS; the network once, at the next boot only."""
    settings = _redfish(redfish)
    assert _do(workers, "redfish", settings, "status").state is PowerState.OFF
    _do(workers, "redfish", settings, "boot-network")
    _do(workers, "redfish", settings, "on")
    assert _do(workers, "redfish", settings, "status").state is PowerState.ON
    assert "already" in _do(workers, "redfish", settings, "on").message
    _do(workers, "redfish", settings, "cycle")
    assert redfish.systems.boots == ["Pxe", "Hdd"]
    _do(workers, "redfish", settings, "off")
    assert plug.deeds == ["on", "off", "on", "off"]


def test_ipmi_knows_every_operation(workers: Workers, ipmi: IpmiBmc) -> None:
    """The same; where the BMC lacks the optional power cycle, it is reset."""
    settings = _ipmi(ipmi)
    assert _do(workers, "ipmi", settings, "status").state is PowerState.OFF
    _do(workers, "ipmi", settings, "boot-network")
    _do(workers, "ipmi", settings, "on")
    assert _do(workers, "ipmi", settings, "status").state is PowerState.ON
    assert "already" in _do(workers, "ipmi", settings, "on").message
    _do(workers, "ipmi", settings, "cycle")
    _do(workers, "ipmi", settings, "off")
    assert ipmi.deeds == ["once:network", "on:network", "reset", "on:default", "off"]


def test_a_start_is_from_the_network_and_leaves_alone_what_runs(
    workers: Workers, redfish: RedfishBmc, plug: Plug
) -> None:
    """A machine that is off boots from the network; one that runs is restarted only if told."""
    settings = _redfish(redfish)
    _do(workers, "redfish", settings)
    assert redfish.systems.boots == ["Pxe"]
    running = _do(workers, "redfish", settings)
    assert plug.deeds == ["on"]
    assert "ironwake power node1 cycle" in running.message
    _do(workers, "redfish", settings, cycle=True)
    assert plug.deeds == ["on", "off", "on"]
    assert redfish.systems.boots == ["Pxe", "Pxe"]


def test_a_start_by_ipmi_is_the_same(workers: Workers, ipmi: IpmiBmc) -> None:
    """Several operations in one process, each with a session that ends."""
    _do(workers, "ipmi", _ipmi(ipmi))
    assert ipmi.deeds == ["once:network", "on:network"]
    assert "stays so" in _do(workers, "ipmi", _ipmi(ipmi)).message
    _do(workers, "ipmi", _ipmi(ipmi), cycle=True)
    assert ipmi.deeds[2:] == ["once:network", "once:network", "reset", "on:network"]


@pytest.mark.parametrize("driver", ["redfish", "ipmi"])
def test_a_wrong_password_is_refused_without_a_word_of_it(
    workers: Workers, request: pytest.FixtureRequest, driver: str
) -> None:
    """The BMC's refusal is told as that, with the field; nothing that was sent is in it."""
    made = request.getfixturevalue(driver)
    own = _redfish(made) if driver == "redfish" else _ipmi(made)
    with pytest.raises(RefusedError, match="refuses this user and password") as caught:
        _do(workers, driver, {**own, "password": "wrong-canary"}, "status")
    assert caught.value.where == "password"
    assert "wrong-canary" not in str(caught.value)


@pytest.mark.parametrize("driver", ["redfish", "ipmi"])
def test_nobody_there_is_told_in_time(workers: Workers, driver: str) -> None:
    """A BMC that does not answer is named, with what to look at."""
    settings = {"address": "127.0.0.1:1", "user": USER, "password": PASSWORD}
    with pytest.raises(BrokenError, match=r"127\.0\.0\.1:1") as caught:
        _do(workers, driver, settings, "on")
    assert caught.value.next_step
    assert PASSWORD not in str(caught.value)


def test_a_worker_that_gets_no_answer_is_ended(redfish: RedfishBmc) -> None:
    """Whatever a driver waits for, its time is limited as a whole."""
    hasty = Workers(0.01)
    with pytest.raises(BrokenError, match="got no answer within"):
        _do(hasty, "redfish", _redfish(redfish), "status")
    hasty.close()
    with pytest.raises(BrokenError, match="stops"):
        _do(hasty, "redfish", _redfish(redfish), "status")


def test_certificates_are_verified_unless_said_otherwise(
    workers: Workers, redfish: RedfishBmc
) -> None:
    """Without its authority a BMC's own certificate is not believed, and no password is sent."""
    settings = _redfish(redfish, ca="")
    with pytest.raises(RefusedError, match="certificate that is not believed") as caught:
        _do(workers, "redfish", settings, "status")
    assert "--insecure" in caught.value.next_step
    settings["verify"] = False
    assert _do(workers, "redfish", settings, "status").state is PowerState.OFF


def test_one_of_several_systems_must_be_named(workers: Workers, tmp_path: Path) -> None:
    """Behind one BMC may stand a chassis full of machines."""
    first, second = Plug("a"), Plug("b")
    with bmc.redfish(tmp_path, first, second, tls=False) as made:
        with pytest.raises(RefusedError, match="not exactly one"):
            _do(workers, "redfish", _redfish(made), "on")
        _do(workers, "redfish", _redfish(made, system="00000001"), "on")
        with pytest.raises(RefusedError, match="does not have the system 7"):
            _do(workers, "redfish", _redfish(made, system="7"), "on")
    assert (first.deeds, second.deeds) == ([], ["on"])


@pytest.mark.parametrize(
    ("driver", "settings", "where"),
    [
        ("redfish", {}, "address"),
        ("redfish", {"address": "https://u:canary@10.0.0.1"}, "address"),
        ("redfish", {"address": "ftp://10.0.0.1"}, "address"),
        ("redfish", {"address": "10.0.0.1", "password": 123456}, "password"),
        ("redfish", {"address": "10.0.0.1", "ca": "nonsense"}, "ca"),
        ("redfish", {"address": "10.0.0.1", "boot": "floppy"}, "boot"),
        ("redfish", {"address": "10.0.0.1", "colour": "red"}, "colour"),
        ("ipmi", {"address": "10.0.0.1:x"}, "address"),
        ("ipmi", {"address": "10.0.0.300"}, "address"),
        ("ipmi", {"address": "10.0.0.1", "password": "x" * 21}, "password"),
        ("wol", {"secureon": "canary"}, "secureon"),
        ("wol", {"secureon": ["01:23:45:67:89:ab"]}, "secureon"),
        ("wol", {"targets": ["10.0.0.300"]}, "targets"),
        ("wol", {"interface": "eth0; rm"}, "interface"),
        ("webhook", {}, "on"),
        ("webhook", {"on": {"url": "http://x/${nothing}"}}, "on"),
        ("webhook", {"on": {"url": "http://x/$"}}, "on"),
        ("webhook", {"on": {"url": "http://u:p@x/"}}, "url"),
        ("webhook", {"on": {"url": "http://x/"}, "headers": {"a b": "canary"}}, "headers"),
        ("webhook", {"on": {"url": "http://x/"}, "secrets": {"token": 123456}}, "secrets"),
        ("webhook", {"on": {"url": "http://x/"}, "reading": {"pattern": "("}}, "pattern"),
        ("none", {"address": "x"}, "address"),
    ],
)
def test_wrong_settings_are_told_by_their_field(
    driver: str, settings: dict[str, Any], where: str
) -> None:
    """Checked when they are given, not when a machine shall start; a secret is never repeated."""
    with pytest.raises(InputError) as caught:
        drivers.read(drivers.find(driver), settings)
    assert where in caught.value.where
    assert "canary" not in str(caught.value)
    assert "123456" not in str(caught.value)


def test_an_unknown_driver_is_answered_with_those_that_there_are() -> None:
    """The names are few: all are told."""
    with pytest.raises(InputError) as caught:
        drivers.find("snmp")
    assert all(driver.name in caught.value.next_step for driver in drivers.DRIVERS)


def test_every_driver_says_what_it_cannot(workers: Workers) -> None:
    """Asking for more is a refusal that tells what it can."""
    with pytest.raises(RefusedError, match="which can't do off") as caught:
        _do(workers, "wol", {}, "off")
    assert "it can: on" in caught.value.next_step
    with pytest.raises(IronwakeError, match="which can't do on"):
        _do(workers, "none", {}, "on")
