"""The DHCP service: proxyDHCP beside a foreign server, or a small server of its own."""
