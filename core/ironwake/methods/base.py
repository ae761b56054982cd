"""What every method can do: start a kernel, and hand out a payload once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from ironwake.boot import KernelBoot
from ironwake.deployment import Deployment
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.report import Grant
from ironwake.site import Policy

NO_KEYS: Final[Mapping[str, str]] = MappingProxyType({})


class InstallMethod(Protocol):
    def check(self, deployment: Deployment, machine: Machine, mac: Mac, policy: Policy) -> None:
        """InputError, naming the parameter, where one cannot be told; asked when it is armed."""

    def missing(self, deployment: Deployment, machine: Machine, policy: Policy) -> tuple[str, ...]:
        """Names of the manifests that must be built first; empty when all is there."""

    def boot(
        self, deployment: Deployment, machine: Machine, mac: Mac, policy: Policy
    ) -> KernelBoot:
        """The kernel to start on the machine that boots from `mac`; nothing may be missing."""

    def payload(
        self,
        deployment: Deployment,
        machine: Machine,
        mac: Mac,
        policy: Policy,
        keys: Mapping[str, str] = NO_KEYS,
    ) -> Grant:
        """The order or the answer file, for the machine that booted from `mac`: what the claim
        guards.

        :param keys: passphrases of the layout's encrypted volumes, by the names of their mappings
        """
