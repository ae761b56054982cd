"""The claim: the answers are handed out once, to whoever comes first with the token.

The first destructive point. The same client (address and boot) may fetch again until its first
callback, and for five minutes at most: a connection drops, an installer reads twice. Everyone else,
and any later boot, gets nothing; nor does a card that is known to be another machine's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection

from ironwake.deployment import Claim
from ironwake.errors import BrokenError, GoneError, InputError, RefusedError, UnknownError
from ironwake.lifecycle import BOOTABLE, Evidence, State
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.methods import METHODS
from ironwake.report import ClaimRequest, Grant
from ironwake.site import Policy
from ironwake_controller import arming, briefing, ledger, volume_keys
from ironwake_controller.metrics import Metrics
from ironwake_controller.pulse import Pulse
from ironwake_controller.safe import Safe
from ironwake_controller.store import addresses, deployments, machines
from ironwake_controller.store.deployments import Claimed, Record
from ironwake_controller.store.store import Store, Tx

REPEAT = 300.0  # seconds in which the claim's own client may fetch again
_LONGEST = 100  # characters of an address or a boot id

Refusal = UnknownError | GoneError | RefusedError


class Claims:
    """`policy` gives the site and the shelf as they are now."""

    def __init__(
        self,
        store: Store,
        policy: Callable[[], Policy],
        safe: Safe,
        pulse: Pulse,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._safe = safe
        self._policy = policy
        self._pulse = pulse
        self._metrics = metrics

    def prepare(self, request: ClaimRequest) -> str:
        """What of its answers takes long to make, for `claim`: a person's own answer file.

        Nothing is given out here, and nothing used up: "" for whoever has no claim, or none such.

        :raises BrokenError: the template, tried when it was armed, cannot be rendered now
        """
        with self._store.read() as connection:
            record = deployments.peek(connection, request.token)
            if record is None or not record.deployment.template or record.ended_already:
                return ""
            there = machines.by_id(connection, record.machine_id)
            card = _card(connection, request)
        if there is None:
            return ""
        keys = volume_keys.of(self._safe, record)
        machine, mac = there.machine, card or there.machine.macs[0]
        try:
            made = briefing.rendered(record.deployment, machine, mac, self._policy(), keys)
        except InputError as error:
            raise BrokenError(error.what, error.next_step) from None
        return made.answer

    def claim(self, request: ClaimRequest, prepared: str = "") -> Grant:
        """The payload, and from then on nobody else's. `prepared`: what `prepare` has made.

        :raises UnknownError: no such token
        :raises GoneError: handed out already, or over
        :raises RefusedError: the machine is locked, or not the one that was enrolled
        """
        if not request.client or max(len(request.client), len(request.boot)) > _LONGEST:
            raise InputError("a claim names its client's address", "give client", "client")
        # A refusal is told in the history, so it must not undo the transaction.
        with self._store.write() as tx:
            outcome = self._decide(tx, request, prepared)
        if isinstance(outcome, Grant):
            return outcome
        self._metrics.claims.labels("refused").inc()
        raise outcome

    def _decide(self, tx: Tx, request: ClaimRequest, prepared: str) -> Grant | Refusal:
        record = deployments.by_token(tx.connection, request.token)
        if record is None:
            return UnknownError("there is no deployment with this token", "", "token")
        if arming.expire(tx, record):
            return GoneError("the arming has expired", "deploy the machine again")
        there = machines.by_id(tx.connection, record.machine_id)
        if there is None:
            return GoneError(f"{record.deployment.machine} was removed", "enrol it again")
        card = _card(tx.connection, request)
        refusal = _refusal(tx, record, there.machine, request) or _stranger(there.machine, card)
        if refusal is not None:
            _tell(tx, record, refusal, request)
            return refusal
        return self._grant(tx, record, there.machine, request, prepared)

    def _grant(
        self, tx: Tx, record: Record, machine: Machine, request: ClaimRequest, prepared: str
    ) -> Grant:
        # First the payload: where it can't be made, nothing is used up.
        method = METHODS[record.deployment.profile.method]
        card = _card(tx.connection, request) or machine.macs[0]
        keys = volume_keys.of(self._safe, record)
        told = replace(record.deployment, answer=prepared)
        grant = method.payload(told, machine, card, self._policy(), keys)
        self._pulse.beat(record.id, tx.steady)
        if record.state is State.ANSWERS:
            self._metrics.claims.labels("repeated").inc()
            message = "the same client fetched the answers again"
            ledger.news(tx, record, "repeated", message, client=request.client)
            return grant
        claim = Claim(request.client, request.boot)
        claimed = Claimed(claim, tx.now, tx.steady, tx.clock.boot, True)
        ledger.move(
            tx,
            record,
            Evidence.CLAIMED,
            ledger.Entry(
                "claimed",
                f"the answers went to {request.client}",
                {"client": request.client, "boot": request.boot, "bytes": len(grant.text)},
                columns={"claim": claimed},
            ),
        )
        self._metrics.claims.labels("granted").inc()
        return grant


def _tell(tx: Tx, record: Record, refusal: Refusal, request: ClaimRequest) -> None:
    message = f"the answers were refused: {refusal.what}"
    ledger.news(
        tx,
        record,
        "refused",
        message,
        client=request.client,
        boot=request.boot,
        reason=refusal.what,
    )


def _refusal(tx: Tx, record: Record, machine: Machine, request: ClaimRequest) -> Refusal | None:
    if machine.locked:
        return RefusedError(f"{machine.name} is locked", f"ironwake machine unlock {machine.name}")
    if record.held:
        return RefusedError(record.held, "look whose machine this is, and cancel the deployment")
    if record.state in BOOTABLE:
        return None
    if record.ended_already:
        return GoneError(f"the deployment is over: {record.state}", "a new one is a new beginning")
    if (
        record.state is State.ANSWERS
        and record.claimed
        and _may_repeat(tx, record.claimed, request)
    ):
        return None
    return GoneError(
        f"the answers of {machine.name} were handed out already", "boot the local disk"
    )


def _card(connection: Connection, request: ClaimRequest) -> Mac | None:
    """The card that asks: as the http service sees it, else as its address was seen given out."""
    if not request.mac:
        return addresses.card_at(connection, request.client)
    return Mac(request.mac)


def _stranger(machine: Machine, card: Mac | None) -> Refusal | None:
    """A token may have been read on its way; the machine's own card has not."""
    if card is None or card in machine.macs:
        return None
    return RefusedError(
        f"the card {card}, which asks for the answers of {machine.name}, is another machine's",
        f"if it is a card of {machine.name}, add it to its MAC addresses",
    )


def _may_repeat(tx: Tx, claimed: Claimed, request: ClaimRequest) -> bool:
    same = claimed.claim == Claim(request.client, request.boot)
    young = claimed.clock_boot == tx.clock.boot and tx.steady - claimed.monotonic < REPEAT
    return same and claimed.open and young
