"""What was learned of a machine by watching it, as against what a person said of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ironwake.localboot import Rung
from ironwake.personality import Personality


@dataclass(frozen=True)
class Memory:
    """`uuid`: the SMBIOS UUID that its first deployment showed; `seen_uuid`: another one seen
    since, which a person has to confirm or to explain. `personality`: firmware's name → the reply
    that it took. `local_boot`: the rung that is in force; `proved`: a health report followed it.
    `secure_boot`: `on`, `off`, or "" until an agent has told. `ram`: the machine's memory in bytes,
    as its kernel counts it; 0 until an agent has told.
    """

    uuid: str = ""
    seen_uuid: str = ""
    personality: dict[str, Personality] = field(default_factory=dict)
    local_boot: Rung = Rung.SILENCE
    proved: bool = False
    secure_boot: str = ""
    ram: int = 0
