"""A virtual rack: a network without uplink, a foreign DHCP server, machines with real firmware."""

from ironwake_lab.machine import Machine
from ironwake_lab.rack import Rack
from ironwake_lab.spec import Card, MachineSpec, RackSpec, RouterSpec

__all__ = ["Card", "Machine", "MachineSpec", "Rack", "RackSpec", "RouterSpec"]
