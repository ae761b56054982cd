"""A virtual rack: a network without uplink, a foreign DHCP server, machines with real firmware."""
