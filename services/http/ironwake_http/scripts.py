"""Boot scripts: always 200 and always a script, whatever was asked and whatever we know.

GRUB runs what it gets without looking at the status, so the only wrong answer is one that leaves a
machine at a prompt: everything that is not a boot leads to the local disk and says why.

A token stands in the script of a machine that boots: a client that is seen to have another card
than that machine gets the other kind. Behind a router, a client's card is not seen. The same holds
for the few files that are made for one machine's boot; of those, what is not given is not there.
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
        return text(_made(service, call))
    return text(_script(service, call, loader))


def _made(service: Service, call: Call) -> str:
    """A file that this machine's own boot plan names, while the plan is one."""
    index = service.index
    try:
        mac = Mac(call.parts["mac"])
        decision = index.resolve(mac) if index else None
    except IronwakeError:
        raise UnknownError(NOTHING) from None
    card = service.witness.card(call.client)
    entry = index.by_mac(mac) if index else None
    if entry is None or not isinstance(decision, BootPlan):
        raise UnknownError(NOTHING)
    name = call.parts["script"]
    if (card is not None and card not in entry.machine.macs) or name not in decision.kernel.texts:
        raise UnknownError(NOTHING)
    return decision.kernel.texts[name]


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
