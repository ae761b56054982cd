"""The names of per-machine scripts: written and read in one place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ironwake import loaders, routes
from ironwake.loaders.base import Loader
from ironwake.mac import Mac

MACS = st.binary(min_size=5, max_size=5).map(lambda tail: Mac.from_bytes(b"\x52" + tail))


@given(MACS, st.sampled_from(loaders.LOADERS))
def test_a_scripts_name_tells_whose_it_is(mac: Mac, loader: Loader) -> None:
    """Whatever name a loader asks by, the machine and the script come out of it."""
    assert routes.asked_script(routes.boot_script(mac, loader.script_name)) == (
        mac,
        loader.script_name,
    )
    found = routes.asked_script(f"pxelinux/pxelinux.cfg/{mac.bootif}")
    assert found is not None
    assert (Mac(found[0]), found[1]) == (mac, loaders.pxelinux.LOADER.script_name)


@given(st.text(max_size=80))
def test_any_text_may_be_asked_for(path: str) -> None:
    """Whatever a stranger sends, it is a script's name or it is none."""
    found = routes.asked_script(path)
    assert found is None or path.startswith(("boot/", "pxelinux/"))
