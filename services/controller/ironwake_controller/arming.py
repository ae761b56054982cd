"""Arms a deployment, and ends it without the machine: cancelled, expired, void."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ironwake import plan
from ironwake.deployment import Deployment
from ironwake.disk import AUTO, DiskMatch
from ironwake.errors import InputError, RefusedError, UnknownError
from ironwake.firmware import BY_NAME
from ironwake.image import Catalogue, ImageKind
from ironwake.lifecycle import BOOTABLE, Evidence, State
from ironwake.machine import Machine
from ironwake.moment import Moment
from ironwake.profile import Method, Profile
from ironwake.release import Release
from ironwake.site import Policy
from ironwake.view import usual_firmware
from ironwake_controller import briefing, enrolment, ledger, volume_keys
from ironwake_controller.briefing import Briefing, Meant
from ironwake_controller.safe import Safe
from ironwake_controller.store import deployments
from ironwake_controller.store.deployments import Record
from ironwake_controller.store.machines import Enrolled
from ironwake_controller.store.store import Store, Tx
from ironwake_runtime import clock

_LONGEST = 30 * 24 * 60.0  # minutes; an arm that waits for a month was forgotten
_WORD = 200  # characters of a disk's name


@dataclass(frozen=True)
class Wish:
    """What a person asks for: this profile, these disks may be erased, armed for so long."""

    profile_name: str
    revision: str
    profile: Profile
    erase: tuple[str, ...] = ()
    wake: bool = True
    minutes: float = 60.0
    keys: Mapping[str, str] = field(default_factory=dict)  # see `volume_keys.made`
    release: Release | None = None  # the profile's


class Arming:
    """`policy` gives the site and the shelf as they are now, `images` what their names mean."""

    def __init__(
        self,
        store: Store,
        policy: Callable[[], Policy],
        safe: Safe,
        images: Callable[[], Catalogue],
        briefing: Briefing,
    ) -> None:
        self._store = store
        self._briefing = briefing
        self._images = images
        self._safe = safe
        self._policy = policy

    def arm(self, name: str, wish: Wish) -> tuple[Record, bool]:
        """A deployment that may begin, and whether it is new.

        The same profile revision again, while it lives, is the one that there is.

        :raises UnknownError: no such machine
        :raises RefusedError: locked, another live deployment, or a held one, missing media
        """
        _check(wish)
        with self._store.read() as connection:
            machine = enrolment.find(connection, name).machine
        draft = self._draft(machine, wish)
        with self._store.write() as tx:
            there = enrolment.find(tx.connection, name)
            live = deployments.live_of(tx.connection, there.id)
            if live is not None and not expire(tx, live):
                return _same(live, draft), False
            profile = self._versioned(draft.profile)
            record = self._record(tx, there, wish, replace(draft, profile=profile))
            digest = self._plan(there, record)
            deployments.add(tx, record)
            added = deployments.by_id(tx.connection, record.id)
            assert added is not None  # noqa: S101 (it was added in this transaction)
            entry = ledger.Entry(
                "armed",
                f"armed for {wish.profile_name} until {record.expires}",
                {
                    "profile": wish.profile_name,
                    "revision": wish.revision,
                    "erase": list(wish.erase),
                    "expires": record.expires,
                },
                digest,
            )
            return ledger.move(tx, added, Evidence.ARM, entry), True

    def _versioned(self, profile: Profile) -> Profile:
        """With one version of its image, whatever becomes of a tag, or is imported later.

        :raises UnknownError: there is no such image
        :raises RefusedError: it is of another kind than the method takes
        """
        if not profile.image:
            return profile
        image = self._images().find(profile.image)
        wanted = ImageKind.DISK if profile.method is Method.DISK_IMAGE else ImageKind.ROOT
        if image.kind is not wanted:
            other = Method.ARCHIVE if profile.method is Method.DISK_IMAGE else Method.DISK_IMAGE
            raise RefusedError(
                f"{image.name} is the image of a {image.kind}, and method {profile.method} takes"
                f" that of a {wanted}",
                f"use method: {other}",
                "profile",
            )
        return replace(profile, image=image.name)

    def _draft(self, machine: Machine, wish: Wish) -> Deployment:
        """What the machine will be told; a template is tried, before the claim needs it."""
        meant = Meant(wish.profile_name, wish.revision, wish.profile, wish.release, wish.erase)
        draft = self._briefing.draft(machine, meant)
        briefing.rendered(draft, machine, machine.macs[0], self._policy())
        return draft

    def _record(self, tx: Tx, there: Enrolled, wish: Wish, draft: Deployment) -> Record:
        if there.machine.locked:
            raise RefusedError(
                f"{there.machine.name} is locked",
                f"unlock it first: ironwake machine unlock {there.machine.name}",
            )
        deployment = replace(
            draft,
            id=f"d{secrets.token_hex(4)}",
            token=secrets.token_hex(32),
            health_token=secrets.token_hex(32),
        )
        keys = volume_keys.made(wish.profile.layout, wish.keys)
        seconds = wish.minutes * 60
        return Record(
            number=0,
            machine_id=there.id,
            deployment=deployment,
            wake=wish.wake,
            created=tx.now,
            expires=clock.text(tx.clock.wall() + timedelta(seconds=seconds)),
            ended="",
            expires_at=tx.steady + seconds,
            clock_boot=tx.clock.boot,
            claimed=None,
            step="",
            percent=None,
            message="",
            stuck=None,
            callbacks=0,
            keys=volume_keys.sealed(self._safe, keys, deployment.id),
        )

    def _plan(self, there: Enrolled, record: Record) -> str:
        """The digest of what the machine will get, by the firmware that it showed last.

        RefusedError where that would be nothing: media are missing. InputError where a parameter
        cannot be told to its installer.
        """
        policy, card = self._policy(), there.machine.macs[0]
        armed = replace(record.deployment.public, state=State.ARMED)
        firmware = BY_NAME.get(there.firmware, usual_firmware(there.machine))
        request = plan.BootRequest(card, firmware)
        subject = plan.Subject(there.machine, armed, there.memory)
        decision = plan.resolve(request, subject, policy)
        if isinstance(decision, plan.BootPlan):
            briefing.check(record.deployment, there.machine, policy)
            return decision.led.digest
        what, _, step = decision.reason.partition("; ")
        raise RefusedError(what, step, "profile")

    def cancel(self, name: str) -> Record:
        """End a deployment. Cancelling a cancelled one again changes nothing."""
        with self._store.write() as tx:
            record = deployments.by_id(tx.connection, name)
            if record is None:
                raise unknown(name)
            if record.state is State.CANCELLED:
                return record
            if record.ended_already:
                raise RefusedError(
                    f"{record.id} is over: {record.state}", "a new deployment is a new beginning"
                )
            return ledger.move(
                tx, record, Evidence.CANCEL, ledger.Entry("cancelled", "cancelled by a person")
            )

    def end(self, name: str) -> Record:
        """A person has done what was to be done on the rescue system."""
        with self._store.write() as tx:
            record = deployments.by_id(tx.connection, name)
            if record is None:
                raise unknown(name)
            if record.deployment.profile.method is not Method.RESCUE:
                raise RefusedError(
                    f"{record.id} ends by itself", f"or cancel it: ironwake cancel {record.id}"
                )
            if record.state is State.SUCCEEDED:
                return record
            entry = ledger.Entry("succeeded", "ended by a person")
            return ledger.move(tx, record, Evidence.DONE, entry)


def unknown(name: str) -> UnknownError:
    """There is no deployment of this id."""
    return UnknownError(
        f"there is no deployment {name!r:.80}", "list them: GET /v1/deployments", "deployment"
    )


def _check(wish: Wish) -> None:
    if not 0 < wish.minutes <= _LONGEST:
        raise InputError(
            f"a machine can't be armed for {wish.minutes:g} minutes",
            f"give more than 0 and at most {_LONGEST:g}",
            "minutes",
        )
    for disk in wish.erase:
        if not disk or len(disk) > _WORD or not disk.isprintable():
            raise InputError(
                f"{disk!r:.60} is not a disk", "give its serial number or its path", "erase"
            )
    if wish.profile.method is Method.WIPE:
        _check_wipe(wish.erase)


def _check_wipe(erase: Sequence[str]) -> None:
    """What is to be wiped is named, disk by disk, by what no restart changes."""
    if not erase:
        raise InputError("no disk is named", "name each that shall lose all, with --erase", "erase")
    for name in erase:
        match = DiskMatch(name)
        if match == AUTO or match.criteria:
            raise InputError(
                f"{name!r:.60} names no single disk",
                "give its serial number, or its path below /dev/disk/by-path",
                "erase",
            )


def _same(live: Record, draft: Deployment) -> Record:
    """The live deployment if it is what is wished for, and goes on."""
    if live.held:
        name = live.deployment.machine
        raise RefusedError(
            f"{name} has deployment {live.id} already, which is held back: {live.held}",
            f"look whose machine this is, then: ironwake machine confirm {name}, or: "
            f"ironwake cancel {live.id}",
        )
    if _gist(live.deployment) == _gist(draft):
        return live
    raise RefusedError(
        f"{live.deployment.machine} has deployment {live.id} already, which is {live.state} for "
        f"{live.deployment.profile_name}",
        f"wait for its end, or: ironwake cancel {live.id}",
    )


def _gist(one: Deployment) -> tuple[object, ...]:
    wanted = (one.profile_name, one.revision, one.erase, one.profile.finish)
    return (*wanted, one.parameters, one.template)


def is_over(record: Record, now: float) -> bool:
    """Whether it is an arm whose time has run out, at this monotonic time."""
    return record.state in BOOTABLE and now >= record.expires_at


def expire(tx: Tx, record: Record) -> bool:
    """End an arm whose time is over; whether it was."""
    if not is_over(record, tx.steady):
        return False
    ledger.move(
        tx,
        record,
        Evidence.EXPIRE,
        ledger.Entry("expired", f"armed until {record.expires}, and nothing was claimed"),
    )
    return True


def void(store: Store) -> int:
    """End every arm: the database is an older copy, and what it says may have been used up.

    Answers that it handed out are not to be had again either.
    """
    with store.write() as tx:
        live = deployments.live(tx.connection)
        for record in live:
            if record.claimed is not None:
                deployments.change(tx, record, claim=replace(record.claimed, open=False))
        armed = [record for record in live if record.state in BOOTABLE]
        for record in armed:
            message = "void: the database was restored from an older copy"
            ledger.move(tx, record, Evidence.EXPIRE, ledger.Entry("expired", message))
        store.voided(tx)
    return len(armed)


def carry_over(store: Store) -> None:
    """After the host's own restart its monotonic clock begins anew: go by the time of day, once.

    A clock that went back gives no arm more time than it had.
    """
    with store.write() as tx:
        for record in deployments.live(tx.connection):
            if record.state not in BOOTABLE or record.clock_boot == tx.clock.boot:
                continue
            whole = _seconds(record.expires) - _seconds(record.created)
            created = record.expires_at - whole
            armed = Moment(record.clock_boot, created, _seconds(record.created))
            until = tx.moment.carried(record.expires_at, armed)
            deployments.change(tx, record, expires_at=until, clock_boot=tx.clock.boot)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
