"""The seed that cloud-init reads in a copied system."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ironwake import nocloud
from ironwake.profile import Seed
from ironwake_agent.image import system
from tests.agent.rig import ORDER
from tests.agent.test_stated import tree


def user_data(root: Path, **changes: Any) -> dict[str, Any]:
    tree(root, "usr/bin/cloud-init")
    system.configure(root, replace(ORDER, **changes), Seed.NOCLOUD, lambda _: None)
    text = (root / "var/lib/cloud/seed/nocloud" / nocloud.USER_DATA).read_text()
    found: dict[str, Any] = nocloud.parse(nocloud.USER_DATA, text)
    return found


@pytest.mark.parametrize("changes", [{"mirror": "http://192.0.2.9/debian"}, {"firmware": True}])
def test_cloud_init_leaves_what_the_agent_made_of_the_package_sources(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    """At its first boot it writes them anew from a template of its own, else."""
    assert "apt" not in user_data(tmp_path)
    assert user_data(tmp_path, **changes)["apt"] == {"preserve_sources_list": True}
