"""Boot scripts: always 200 and always a script, whatever was asked and whatever we know.

GRUB runs what it gets without looking at the status, so the only wrong answer is one that leaves a
machine at a prompt: everything that is not a boot leads to the local disk and says why.

A token stands in the script of a machine that boots: a client that is seen to have another card
than that machine gets the other kind. Behind a router, a client's card is not seen.
"""

from __future__ import annotations

from aiohttp import web

from ironwake import loaders
from ironwake.errors import InputError, IronwakeError, UnknownError
from ironwake.loaders import grub
from ironwake.loaders.base import Loader
from ironwake.localboot import Rung
from ironwake.mac import Mac
from ironwake.plan import BootPlan
from ironwake_http.replies import NOTHING, text
from ironwake_http.service import Call, Service

_STARTING = "the appliance is still starting"


async def machine(service: Service, call: Call) -> web.StreamResponse:
    """`/boot/{mac}/{script}`."""
    loader = loaders.BY_SCRIPT.get(call.parts["script"])
    if loader is None:
        raise UnknownError(NOTHING)
    return text(_script(service, call, loader))


def _script(service: Service, call: Call, loader: Loader) -> str:
    try:
        mac = Mac(call.parts["mac"])
    except InputError:
        # What was asked for is not repeated: it would stand in a script.
        return loader.local_script("this is not a MAC address", Rung.SILENCE)
    index = service.index
    if index is None:
        return loader.local_script(_STARTING, Rung.SILENCE)
    entry, card = index.by_mac(mac), service.witness.card(call.client)
    if entry is not None and card is not None and card not in entry.machine.macs:
        service.witness.other_card(call.client, card, mac, entry.machine.name)
        return loader.local_script("this is another machine's script", Rung.SILENCE)
    try:
        decision, script = index.scripted(mac, loader)
    except IronwakeError as error:
        service.log.error("no script", mac=mac, error=str(error))
        reason = "the plan cannot be made: see the log of the http service"
        return loader.local_script(reason, Rung.SILENCE)
    if not call.head:
        gets = "boot" if isinstance(decision, BootPlan) else "local disk"
        detail = {"script": loader.script_name, "gets": gets, "reason": decision.reason}
        service.witness.script(index, call.client, mac, detail)
    return script


async def common(service: Service, call: Call) -> web.StreamResponse:  # noqa: ARG001 (a handler)
    """`/grub/grub.cfg`: sends every machine on to its own script."""
    if service.index is None:
        return text(grub.LOADER.local_script(_STARTING, Rung.SILENCE))
    return text(grub.common_config(service.index.view.site))
