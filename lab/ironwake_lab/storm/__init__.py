"""A storm: hundreds of machines that are switched on together, played packet by packet.

roms        what real firmware sends, row by row, out of the captures
frames      bytes of ARP, IPv4, UDP and DHCP, both ways
download    one TFTP transfer, as firmware does it
machine     one machine, from its power button to its health report (no socket, no clock)
dhcp        how it gets its address
boot        its firmware and its loaders
linux       the part of it that the kernel, the agent and the installed system play
router      the foreign DHCP server beside which it happens
weather     seeded loss, duplication and reordering
cable       the two ends of the wire: a tap on the rack's bridge, a tun for the kernel's TCP
asking      HTTP requests, each from its machine's own address
driver      machines, wire and timers in one event loop
stage       the rack and the appliance that are stormed; enrols and arms
services    what the appliance's processes use, and whether one of them ended
tally       what is told afterwards
run         all of it together
"""
