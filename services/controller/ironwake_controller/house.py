"""All parts of one controller, built once and handed down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ironwake import release
from ironwake.image import Catalogue
from ironwake.site import Policy
from ironwake_controller import arming, epoch, surroundings
from ironwake_controller.arming import Arming
from ironwake_controller.boots import Boots
from ironwake_controller.briefing import Briefing
from ironwake_controller.callbacks import Callbacks
from ironwake_controller.claims import Claims
from ironwake_controller.epoch import EpochFile
from ironwake_controller.housekeeping import Housekeeping
from ironwake_controller.lease_book import LeaseBook
from ironwake_controller.metrics import Metrics
from ironwake_controller.observations import Watch
from ironwake_controller.power.job import Workers
from ironwake_controller.power.switchboard import Hands, Switchboard
from ironwake_controller.profiles import Profiles
from ironwake_controller.recent import Recent
from ironwake_controller.safe import Safe
from ironwake_controller.scopes import Scopes
from ironwake_controller.store import database
from ironwake_controller.store.lock import WriterLock
from ironwake_controller.store.store import Store
from ironwake_controller.store.together import Together
from ironwake_controller.surroundings import Surroundings
from ironwake_controller.view import Views
from ironwake_controller.wake import packets
from ironwake_controller.wake.loop import WakeLoop
from ironwake_controller.wake.packets import Send
from ironwake_controller.wake.queue import WakeQueue
from ironwake_runtime import catalogue
from ironwake_runtime.clock import Clock
from ironwake_runtime.service import Log
from ironwake_runtime.settings import Settings


@dataclass
class House:
    """`lock` is held, and `store` open, until `close`."""

    settings: Settings
    log: Log
    lock: WriterLock
    store: Store
    surroundings: Surroundings
    send: Send
    safe: Safe
    hands: Hands
    metrics: Metrics = field(default_factory=Metrics, init=False)

    def __post_init__(self) -> None:
        settings, store, log = self.settings, self.store, self.log
        self.together = Together(store)
        self.recent = Recent(Boots(settings.deadline_scale))
        self.wake_queue = WakeQueue(settings.wake_rate)
        self.wake_loop = WakeLoop(store, self.safe, self.wake_queue, self.send, self.metrics, log)
        self.switchboard = Switchboard(
            store, self.safe, self.wake_queue, self.hands, log, settings.deadline_scale
        )
        known = catalogue.releases(settings.catalogue)
        self.profiles = Profiles(settings.profiles, partial(release.find, among=known))
        self.briefing = Briefing(
            Scopes(self.settings.parameters), self.profiles.template, settings.plain_passwords
        )
        self.views = Views(self.store, self.policy)
        self.arming = Arming(
            self.store,
            self.policy,
            self.safe,
            self.images,
            self.briefing,
        )
        self.claims = Claims(self.store, self.policy, self.safe, self.recent.pulse, self.metrics)
        self.callbacks = Callbacks(self.store, self.recent.pulse, self.metrics)
        self.watch = Watch(store, self.recent, self.metrics, self.wake_queue.stop)
        self.lease_book = LeaseBook(store)
        self.housekeeping = Housekeeping(
            store, self.surroundings, self.lease_book, self.recent, log, settings.deadline_scale
        )

    def policy(self) -> Policy:
        """The site, the shelf and who else is on the network, as they are now."""
        return replace(self.surroundings.policy, foreign=self.recent.foreign.servers())

    def images(self) -> Catalogue:
        """As they are now: an image or a tag of a moment ago counts at once."""
        self.housekeeping.refresh()
        return self.surroundings.images

    def close(self) -> None:
        """Stop in order; wakes everybody who waits for news."""
        self.store.bell.close()
        self.wake_queue.bell.close()
        self.switchboard.close()
        self.together.close()
        self.store.close()
        self.lock.close()


def build(
    settings: Settings,
    log: Log,
    clock: Clock,
    send: Callable[[Callable[[], Policy]], Send] | None = None,
    hands: Hands | None = None,
) -> House:
    """Open everything that the settings name.

    :raises RefusedError: another controller runs, or the database is newer than this code
    :raises IronwakeError: what the settings name is not there
    """
    around = surroundings.from_settings(settings, log)
    safe = Safe(settings.secrets / "power.key")
    targets = packets.targets_of(settings.wake_targets)
    file = database.place(settings.database)
    lock = WriterLock(_lock_file(settings, file))
    try:
        engine = database.open_engine(settings.database)
        store = Store(engine, EpochFile(epoch.place(settings.epoch, settings.state_dir)), clock)
        if store.restored:
            log.warning(
                "the database is an older copy: nothing is armed any more",
                ended=arming.void(store),
            )
        arming.carry_over(store)
    except BaseException:
        lock.close()
        raise
    make = send or (lambda policy: packets.sender(lambda: policy().site, targets))
    sending = make(lambda: around.policy)
    house = House(settings, log, lock, store, around, sending, safe, hands or Workers())
    house.switchboard.resume()
    return house


def _lock_file(settings: Settings, file: Path | None) -> Path:
    folder = file.parent if file is not None else settings.state_dir
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"{file.name if file is not None else 'controller'}.lock"
