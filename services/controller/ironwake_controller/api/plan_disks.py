"""`/v1/plan/disks`: the dry run of a layout, on the disks that the machine has shown."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from ironwake.disk import Part
from ironwake.errors import RefusedError, UnknownError
from ironwake.firmware import BY_NAME, Architecture
from ironwake.layout import config
from ironwake.layout.extents import Extent
from ironwake.layout.identity import Identity
from ironwake.layout.model import Layout, Volume
from ironwake.layout.usual import usual
from ironwake.layout.work import DiskWork, Target, Work, work
from ironwake.mac import Mac
from ironwake.methods.origin import origin
from ironwake.profile import Method, Profile
from ironwake.view import usual_firmware
from ironwake_controller.api.plan_shapes import (
    CommandShape,
    DiskPlanShape,
    DisksPlanShape,
    PartShape,
)
from ironwake_controller.house import House
from ironwake_controller.store import deployments, machines
from ironwake_controller.store.machines import Enrolled

# As `uname -m` says it in the deploy ramdisk.
_UNAME = {Architecture.AMD64: "x86_64", Architecture.ARM64: "aarch64"}
_NO_DEPLOYMENT = "dry-run"


def routes(house: House) -> APIRouter:
    """The route of this noun."""
    router = APIRouter(prefix="/v1/plan/disks", tags=["plan"])

    @router.get("")
    def show(
        mac: Annotated[str, Query(description="in any notation")],
        profile: Annotated[str, Query(description="default: that of its last deployment")] = "",
        erase: Annotated[
            list[str] | None, Query(description="disks whose contents may go; default: as deployed")
        ] = None,
    ) -> DisksPlanShape:
        """What would be done to this machine's disks: commands, and partitions before and after.

        409 in the agent's own words where it would refuse.
        """
        with house.store.read() as connection:
            there = machines.by_mac(connection, Mac(mac))
            if there is None:
                raise UnknownError(f"no machine with {mac} is enrolled", "ironwake enroll", "mac")
            latest = deployments.latest(connection, there.id)
            disks = machines.disks(connection, there.id)
        deployment = latest.deployment if latest else None
        if not profile and deployment is None:
            raise RefusedError(
                f"{there.machine.name} was never deployed", "name a profile", "profile"
            )
        if not disks:
            raise RefusedError(
                f"{there.machine.name} has not shown its disks yet",
                "its agent tells them at its first boot: deploy it once",
            )
        name, chosen = profile, deployment.profile if deployment else None
        made_of = deployment.release if deployment else None
        if profile:
            chosen = house.profiles.get(profile)[0]
            made_of = house.profiles.release(chosen)
        elif deployment:
            name = deployment.profile_name
        assert chosen is not None  # noqa: S101 - one of both is there
        own = deployment if deployment and not profile else None
        allowed = tuple(erase) if erase is not None else own.erase if own else ()
        target = Target(
            disks,
            _uefi(there),
            _UNAME[there.machine.architecture],
            Identity(own.id if own else _NO_DEPLOYMENT),
            allowed,
            origin(made_of, chosen.image, house.policy()).least_disk,
        )
        found = work(_layout(chosen), target)
        return _shape(str(there.machine.name), name, found)

    return router


def _layout(profile: Profile) -> Layout:
    if profile.method is Method.SCRIPT:
        raise RefusedError(
            "with method script the installer divides the disk, and says nothing before",
            "use method: archive",
        )
    if profile.method is Method.DISK_IMAGE:
        raise RefusedError(
            f"the partitions are those of the disk in {profile.image}",
            f"see: ironwake image show {profile.image}",
        )
    return profile.layout or usual(profile.disk.match)


def _uefi(there: Enrolled) -> bool:
    """As its agent has told; else by the firmware that it booted with."""
    told = there.facts.get("firmware", "")
    if told:
        return told == "uefi"
    return BY_NAME.get(there.firmware, usual_firmware(there.machine)).uefi


def _shape(machine: str, profile: str, found: Work) -> DisksPlanShape:
    return DisksPlanShape(
        machine=machine,
        profile=profile,
        disks=[_disk(one) for one in found.disks],
        commands=[
            CommandShape(words=list(one.words), stdin=one.stdin, key=one.key)
            for one in found.commands
        ],
        files={file.path: file.text for file in config.files(found)},
    )


def _disk(one: DiskWork) -> DiskPlanShape:
    return DiskPlanShape(
        name=str(one.wanted.name),
        disk=str(one.disk),
        stays=one.stays,
        before=[_before(part) for part in one.disk.parts],
        after=[_after(place, one.kinds[place.number]) for place in one.places],
    )


def _before(part: Part) -> PartShape:
    return PartShape(
        number=part.number,
        name=part.name,
        start=part.start,
        size=part.size,
        type=part.type,
        content=part.found,
    )


def _after(place: Extent, kind: str) -> PartShape:
    part = place.partition
    return PartShape(
        number=place.number,
        name=str(part.name),
        start=place.start,
        size=place.size,
        type=kind,
        content="kept as it is" if place.kept else _content(part, part.role),
    )


def _content(volume: Volume, role: str) -> str:
    words = [role] if role != "data" else []
    if volume.encrypt:
        words.append(f"LUKS2 ({volume.encrypt.key})")
    if volume.format:
        words.append(str(volume.format))
    words += [f"at {mount}" for _, mount in volume.places]
    return " ".join(words)
