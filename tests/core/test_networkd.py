"""systemd-networkd's files of a network."""

from __future__ import annotations

from ironwake import networkd
from ironwake.mac import Mac
from ironwake.parameters.network import Device, Kind, Network

MAC = Mac("52:54:00:77:00:10")


def test_the_network_of_bonds_and_vlans() -> None:
    """Cards by their addresses; a card in a bond has none of its own.

    What is made of cards comes first: systemd before 251 does not know Kind=, and a VLAN has the
    address of its card.
    """
    network = Network(
        (
            Device("uplink", Kind.BOND, ("boot", "52:54:00:12:34:57")),
            Device(
                "office", Kind.VLAN, ("uplink",), addresses=("192.0.2.7/24",), vlan=20, mtu=1400
            ),
        ),
        ("192.0.2.1",),
    )
    files = {file.path.rpartition("/")[2]: file.text for file in networkd.files(network, MAC)}
    assert files["10-uplink.netdev"].startswith("[NetDev]\nName=uplink\nKind=bond\n")
    assert "Id=20" in files["10-office.netdev"]
    card = files["30-52-54-00-77-00-10.network"]
    assert "MACAddress=52:54:00:77:00:10\nKind=!*\n" in card
    assert "Bond=uplink" in card
    assert "VLAN=office" in files["20-uplink.network"]
    assert "MTUBytes=1400" in files["20-office.network"]
    assert "Address=192.0.2.7/24" in files["20-office.network"]
    assert "DNS=192.0.2.1" in files["20-office.network"]


def test_what_the_card_that_booted_is_in_has_its_address() -> None:
    """Else DHCP would take the machine for a stranger: systemd makes one up for what it is in."""
    network = Network(
        (
            Device("up", Kind.BOND, ("boot", "52:54:00:12:34:57")),
            Device("office", Kind.VLAN, ("up",), vlan=20),
            Device("lan", Kind.BRIDGE, ("office",), dhcp=True),
            Device("guests", Kind.BRIDGE, ("52:54:00:12:34:58",), dhcp=True),
        )
    )
    files = {file.path.rpartition("/")[2]: file.text for file in networkd.files(network, MAC)}
    named = {name for name, text in files.items() if "[NetDev]" in text and MAC in text}
    assert named == {"10-up.netdev", "10-lan.netdev"}
    assert f"Kind=bridge\nMACAddress={MAC}\n" in files["10-lan.netdev"]
