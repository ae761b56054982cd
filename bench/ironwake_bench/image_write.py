"""The agent's write of a disk image, in a process of its own: what `bench-image` measures.

The code is the agent's, from the index to the last bytes of the table; only the reports and the
steps between (configuration, boot loader) are missing, which need an operating system on the disk.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ironwake.newtable import new_table
from ironwake.partitions import Found
from ironwake_agent.image import deploy, fetch, write
from ironwake_agent.image.device import opened
from ironwake_agent.image.fetch import Ways
from ironwake_agent.image.source import Place
from ironwake_agent.patience import Patience

_PATIENCE = 60.0  # seconds


def copy() -> None:
    """Arguments: the disk, URL and size of the pack, URL, size and SHA-256 of the index, and
    whether it shall be read again (`full`) or not (`fast`)."""
    target, url, packed, index_url, index_size, sha256, verify = sys.argv[1:]
    pack = Place(url, int(packed))
    ways = Ways(Patience(_PATIENCE), lambda _: None, lambda _: None)
    index = fetch.index(Place(index_url, int(index_size)), sha256, ways)
    with opened(target) as device:
        writer = write.Write(device, index, pack, ways)
        edges = writer.edges()
        outcome = writer.run(edges, verify=verify == "full")
        table = new_table(bytes(edges.head), Found(""), device.size, None)
        deploy.put_body(device, edges, table)
        deploy.put_table(device, table)
    # The kernel's own count: blocks, edges and all; discards and zeroes by name are no bytes.
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    told = {"fetched": outcome.fetched, "disk": int(counts["write_bytes"])}
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    copy()
