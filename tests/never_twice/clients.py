"""What clients of our DHCP server do (RFC 2131 section 4.4), and who else is on their network."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from hypothesis import strategies as st
from hypothesis.stateful import rule

from ironwake.firmware import FIRMWARE, Firmware
from ironwake.mac import Mac
from ironwake_dhcp.packet import MessageType
from ironwake_testing.dhcp import KIND, discover, options, speaking_from, with_option
from tests.never_twice.dhcp import OURS, Fate
from tests.never_twice.world import CARDS, PHONE, STRANGER, World, board, boards, fates

_REQUESTED, _SECONDS, _SERVER, _VENDOR = 50, 51, 54, 60
_YIADDR = slice(16, 20)
_ANOTHER_SERVER = IPv4Address("10.77.0.1")
_cards = st.sampled_from([*CARDS.values(), STRANGER, PHONE])
_addresses = st.sampled_from([IPv4Address(f"10.77.0.{n}") for n in (2, 50, 100, 101, 102, 200)])


@dataclass(frozen=True)
class Client:
    """A card, and what is at work in it: firmware, or (None) an operating system."""

    mac: Mac
    firmware: Firmware | None
    board: str

    def message(self, kind: MessageType, **said: IPv4Address | None) -> bytes:
        """`server` and `requested` are options, `own` is the address that it has."""
        made = discover(self.mac, self.firmware or FIRMWARE[0], board(self.mac, self.board))
        if self.firmware is None:
            made = with_option(made, _VENDOR, b"udhcp")
        made = with_option(made, KIND, bytes((kind,)))
        for option, value in ((_SERVER, said.get("server")), (_REQUESTED, said.get("requested"))):
            if value is not None:
                made = with_option(made, option, value.packed)
        own = said.get("own")
        return made if own is None else speaking_from(made, own)


_clients = st.builds(
    Client,
    _cards,
    st.one_of(st.none(), st.sampled_from(FIRMWARE)),
    boards,
)


class Clients(World):
    """Four of them, for three addresses."""

    @rule(client=_clients, fate=fates)
    def begins(self, client: Client, fate: Fate) -> None:
        """DISCOVER, OFFER, REQUEST, ACK: it was switched on, and knows of no address."""
        self.addresses.drop(client.mac)
        offer = self.say(client.message(MessageType.DISCOVER), client.mac)
        if offer is None:
            return  # the pool is used up
        wanted = IPv4Address(offer[_YIADDR])
        chosen = client.message(MessageType.REQUEST, server=OURS, requested=wanted)
        assert self._asks(client, chosen, wanted, fate=fate) in (None, MessageType.ACK)

    @rule(client=_clients, at=_addresses, remembers=st.booleans(), fate=fates)
    def comes_back(self, client: Client, at: IPv4Address, remembers: bool, fate: Fate) -> None:
        """It asks for an address again, or for one of another network's, until it is heard."""
        wanted = self.addresses.last.get(client.mac, at) if remembers else at
        if self.addresses.of(client.mac, self.elapsed) != wanted:
            self.addresses.drop(client.mac)
        message = client.message(MessageType.REQUEST, requested=wanted)
        if self._asks(client, message, wanted, fate=fate) is None:
            self._asks(client, message, wanted)  # seconds later

    @rule(client=_clients, at=_addresses, to_all=st.booleans(), fate=fates)
    def renews(self, client: Client, at: IPv4Address, to_all: bool, fate: Fate) -> None:
        """The address that it has, or says it has: from us alone, or from whoever hears it."""
        own = self.addresses.of(client.mac, self.elapsed) or at
        message = client.message(MessageType.REQUEST, own=own)
        self._asks(client, message, own, None if to_all else own, fate)

    def _asks(
        self,
        client: Client,
        message: bytes,
        wanted: IPv4Address,
        source: IPv4Address | None = None,
        fate: Fate = Fate.HEARD,
    ) -> MessageType | None:
        """A REQUEST. What it heard: with an ACK it has the address, with a NAK it has none."""
        reply = self.say(message, client.mac, address=source, fate=fate)
        if reply is None:
            return None
        said = options(reply)
        kind = MessageType(said[KIND][0])
        if kind is MessageType.ACK:
            assert IPv4Address(reply[_YIADDR]) == wanted
            seconds = int.from_bytes(said[_SECONDS], "big")
            self.addresses.give(client.mac, wanted, seconds, self.elapsed)
        else:
            assert kind is MessageType.NAK
            self.addresses.drop(client.mac)
        return kind

    @rule(client=_clients, at=_addresses, fate=fates, declines=st.booleans())
    def gives_up(self, client: Client, at: IPv4Address, fate: Fate, declines: bool) -> None:
        """RELEASE or DECLINE, of its own address or of another's; it may not come to us."""
        own = self.addresses.of(client.mac, self.elapsed) or at
        self.addresses.drop(client.mac)
        if fate is Fate.LOST:
            return
        if declines:
            message = client.message(MessageType.DECLINE, server=OURS, requested=own)
            assert self.say(message, client.mac, fate=fate) is None
        else:
            message = client.message(MessageType.RELEASE, server=OURS, own=own)
            assert self.say(message, client.mac, address=own, fate=fate) is None

    @rule(client=_clients)
    def takes_another_servers(self, client: Client) -> None:
        """It was offered more than ours."""
        self.addresses.drop(client.mac)
        self.say(client.message(MessageType.DISCOVER), client.mac)
        message = client.message(MessageType.REQUEST, server=_ANOTHER_SERVER)
        assert self.say(message, client.mac) is None

    @rule(answering=st.one_of(st.none(), _cards))
    def addresses_are_tried(self, answering: Mac | None) -> None:
        """Nobody is where there should be nobody, or somebody is."""
        self.rig.dhcp.try_addresses(answering)
