"""Method `live`: a system that runs from memory, set up by cloud-init; nothing is written.

live-boot, in the initrd, fetches the root file system as squashfs; cloud-init then asks for its
seed (`ironwake.nocloud`) under the deployment's token. That is the claim; so a later boot, which
would be another system under the same name, gets nothing. Options of a release: `network_config`
is `no` where its cloud-init asks for none over the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from ironwake import firstboot, nocloud, routes
from ironwake.boot import KernelBoot, initial
from ironwake.deployment import Deployment
from ironwake.errors import InputError
from ironwake.families import fragment
from ironwake.firstboot import File
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.methods.base import NO_KEYS
from ironwake.parameters import Parameters
from ironwake.parameters.network import Network
from ironwake.parameters.refusal import check_plain, check_refused
from ironwake.report import Callback, Grant, Stage
from ironwake.site import Policy

ROLES: Final = ("kernel", "initrd", "squashfs")
FILES: Final = nocloud.FILES
_USUAL: Final = Parameters()
_POST: Final = "usr/lib/ironwake/post"
_ORDER: Final = "[Unit]\nAfter=cloud-final.service\n"
_DISKLESS: Final = "the system is in memory already"
_REFUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "package_groups": "name the packages",
        "repositories": "its packages are its medium's",
        "proxy": "its packages are its medium's",
        "mirror": "its packages are its medium's",
        "firmware": "its medium has what it has",
        "security": "the kernel's arguments decide that: give kernel_arguments",
        "template": "its seed is data: use fragments",
    }
)


@dataclass(frozen=True)
class LiveMethod:
    def check(
        self,
        deployment: Deployment,
        machine: Machine,
        mac: Mac,
        policy: Policy,
    ) -> None:
        check_refused("method live", _REFUSES, deployment.parameters)
        check_plain("method live", deployment.parameters)
        release, network = deployment.need_release(), deployment.parameters.network
        if network != Network() and release.options.get("network_config") == "no":
            raise InputError(
                f"{release.title} asks for no network configuration when it runs from memory",
                "leave it out: the card that booted asks DHCP",
                "network",
            )
        if deployment.parameters.scripts.pre:
            raise InputError(_DISKLESS, "give post", "scripts.pre")
        self.payload(deployment, machine, mac, policy)

    def missing(self, deployment: Deployment, machine: Machine, policy: Policy) -> tuple[str, ...]:
        return policy.shelf.lacking({_medium(deployment, machine): ROLES})

    def boot(
        self, deployment: Deployment, machine: Machine, mac: Mac, policy: Policy
    ) -> KernelBoot:
        medium = _medium(deployment, machine)
        squashfs = policy.shelf.need(medium, "squashfs")
        seed = routes.answers(policy.site.url, deployment.token, "")
        return KernelBoot(
            f"Ironwake: {machine.name} runs {deployment.need_release().title} live",
            policy.shelf.need(medium, "kernel"),
            initial(policy.shelf.need(medium, "initrd")),
            (
                "boot=live",
                f"fetch={policy.site.url}/{routes.artifact(squashfs)}",
                # Else live-boot gives the system a second lease, beside its own.
                "ip=frommedia",
                f"BOOTIF={mac.bootif}",
                nocloud.argument(seed),
                *machine.architecture.consoles,
                "quiet",
                *deployment.parameters.kernel_arguments,
            ),
        )

    def payload(
        self,
        deployment: Deployment,
        machine: Machine,
        mac: Mac,
        policy: Policy,
        keys: Mapping[str, str] = NO_KEYS,  # noqa: ARG002 (nothing is encrypted)
    ) -> Grant:
        parameters = deployment.parameters
        files = nocloud.seed(
            deployment.id,
            _name(deployment, machine),
            fragment.joined(
                _user_data(deployment, machine, policy),
                fragment.read(parameters.fragments, "live", fragment.DISKS),
            ),
            nocloud.network_config(parameters.network, mac),
        )
        return Grant("text/plain; charset=utf-8", files[nocloud.USER_DATA], files)


def heard(content_type: str, body: bytes) -> Callback | None:
    """What cloud-init reports by itself."""
    return nocloud.heard(content_type, body, Stage.WORKING)


def _name(deployment: Deployment, machine: Machine) -> str:
    return str(deployment.parameters.hostname or machine.name)


def _medium(deployment: Deployment, machine: Machine) -> str:
    return deployment.need_release().live(machine.architecture)


def _user_data(deployment: Deployment, machine: Machine, policy: Policy) -> dict[str, Any]:
    parameters, url = deployment.parameters, policy.site.url
    files = [
        *firstboot.files(routes.health(url, deployment.health_token)),
        # Whoever hears of its health, may rely on all that cloud-init had to do.
        File(f"etc/systemd/system/{firstboot.UNIT}.d/order.conf", 0o644, _ORDER),
        *([File(_POST, 0o700, parameters.scripts.post)] if parameters.scripts.post else ()),
    ]
    data = nocloud.system(
        parameters, _name(deployment, machine), parameters.domain or policy.site.domain
    )
    data |= {
        "write_files": [
            {"path": f"/{file.path}", "permissions": f"{file.mode:04o}", "content": file.text}
            for file in files
            if not file.path.endswith("/boot-entry")  # it is for a disk
        ],
        "runcmd": list(_commands(deployment, url)),
        "phone_home": nocloud.phone_home(routes.reports(url, deployment.token)),
    }
    if parameters.locale != _USUAL.locale:
        data["locale"] = parameters.locale
    if parameters.keyboard != _USUAL.keyboard:
        data["keyboard"] = {"layout": parameters.keyboard}
    if parameters.packages:
        data |= {"package_update": True, "packages": list(parameters.packages)}
    return data


def _commands(deployment: Deployment, url: str) -> Iterator[list[str]]:
    """Reports that it works, runs the person's script, and lets health be reported at the end."""
    callbacks = f"{routes.callbacks(url, deployment.token)}?stage="
    tell = ("curl", "-fsS", "--retry", "9", "--retry-connrefused", "-X", "POST")
    yield [*tell, f"{callbacks}working&step=live&id=live"]
    if deployment.parameters.scripts.post:
        failed = f"{callbacks}failed&step=post&id=post&message=the+script+failed"
        yield ["sh", "-c", f'/{_POST} || "$@"', "sh", *tell, failed]
    yield ["systemctl", "daemon-reload"]
    yield ["systemctl", "start", "--no-block", firstboot.UNIT]


METHOD = LiveMethod()
