"""A profile for two disks that are each other's mirror: /boot on an array, the rest on LVM."""

from __future__ import annotations

import json
from typing import Any


def mirrored(
    machine: str, start: dict[str, str], volumes: list[dict[str, Any]], **more: str
) -> str:
    """`start`: the partition that this machine's firmware starts a disk by; `more`: other fields
    of the profile."""
    arrays = [
        {"name": "boot", "of": ["first/boot", "second/boot"], "format": "ext4", "mount": "/boot"},
        {"name": "both", "of": ["first/system", "second/system"]},
    ]
    layout = {
        "disks": [
            _disk("first", f"disk-{machine}", start),
            _disk("second", f"disk-{machine}-2", {**start, "name": f"{start['name']}2"}),
        ],
        "arrays": [{"level": 1, **array} for array in arrays],
        "groups": [{"name": "vg0", "of": ["both"], "volumes": volumes}],
    }
    return json.dumps({"release": "debian-12-cloud", "layout": layout, **more})


def _disk(name: str, match: str, start: dict[str, str]) -> dict[str, Any]:
    rest = [{"name": "boot", "size": "200MiB"}, {"name": "system"}]
    return {"name": name, "match": match, "partitions": [start, *rest]}
