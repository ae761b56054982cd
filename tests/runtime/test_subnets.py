"""The subnets that the settings tell: a file of many, or one pool; one model for both."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from ironwake.errors import InputError
from ironwake.ipv4 import Address, Network, Range
from ironwake.subnet import Subnet
from ironwake_runtime import subnets
from ironwake_runtime.settings import read

OWN = IPv4Network("10.77.0.0/24")
SERVER = {"IRONWAKE_DHCP_MODE": "server"}
POOL = {"IRONWAKE_DHCP_POOL": "10.77.0.100-10.77.0.199"}


def test_the_short_form_is_a_subnet() -> None:
    """A pool and a router are the own network's; beside a foreign server there is none."""
    settings = read({**SERVER, **POOL, "IRONWAKE_DHCP_ROUTER": "10.77.0.254"})
    pool = Range("10.77.0.100-10.77.0.199")
    assert subnets.of(settings, OWN) == (
        Subnet(Network("10.77.0.0/24"), (pool,), router=Address("10.77.0.254")),
    )
    assert subnets.of(read(POOL), OWN) == ()


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({}, "IRONWAKE_DHCP_POOL"),
        ({"IRONWAKE_DHCP_POOL": "10.78.0.1-10.78.0.9"}, "IRONWAKE_DHCP_POOL"),
        ({**POOL, "IRONWAKE_DHCP_ROUTER": "x"}, "IRONWAKE_DHCP_ROUTER"),
        ({**POOL, "IRONWAKE_DHCP_ROUTER": "10.78.0.1"}, "IRONWAKE_DHCP_ROUTER"),
        ({**POOL, "IRONWAKE_DHCP_SUBNETS": "/f"}, "IRONWAKE_DHCP_SUBNETS"),
        ({"IRONWAKE_DHCP_SUBNETS": "/no/such/file"}, "IRONWAKE_DHCP_SUBNETS"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, str], where: str) -> None:
    """The one that is wrong, or that is one too many."""
    with pytest.raises(InputError) as caught:
        subnets.of(read({**SERVER, **given}), OWN)
    assert caught.value.where == where


def test_a_mistake_in_the_file_is_told_with_its_line(tmp_path: Path) -> None:
    """File, line and field: a person can go there."""
    file = tmp_path / "subnets.yaml"
    file.write_text(
        "subnets:\n  - network: 10.77.0.0/24\n    pools:\n      - 10.77.0.100-10.78.0.5\n"
    )
    with pytest.raises(InputError, match=r"does not fit the network") as caught:
        subnets.read(file)
    assert caught.value.where == f"{file}:4"
    assert str(caught.value.what).startswith("subnets[0].pools[0]: ")


def test_the_documents_example_is_right(tmp_path: Path) -> None:
    """docs/dhcp.md shows a file; it is taken as it stands there."""
    text = (Path(__file__).parents[2] / "docs" / "dhcp.md").read_text()
    example = text.partition("```yaml\n")[2].partition("```")[0]
    file = tmp_path / "subnets.yaml"
    file.write_text(example)
    assert len(subnets.read(file)) == 2
