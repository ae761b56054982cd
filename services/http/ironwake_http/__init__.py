"""The HTTP service on the LAN side: scripts, orders, answers, artifacts, callbacks."""
