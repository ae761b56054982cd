"""What is other in the second of two images."""

from __future__ import annotations

from dataclasses import dataclass, field

from ironwake.image import Image
from ironwake.pack import Index
from ironwake_imager.library.packages import Difference


@dataclass(frozen=True)
class Blocks:
    """What a disk with the first needs to become the second.

    `changed` blocks of the second are other ones than the first's, `emptied` ones have become
    zeroes, `same` are those that both have. `moved` is what the changed ones take in the pack, in
    bytes; `grown` is how much larger the second disk is.
    """

    same: int
    changed: int
    emptied: int
    moved: int
    grown: int


@dataclass(frozen=True)
class ImageDifference:
    """`blocks` is None unless both are disks; `facts` are name → (before, after)."""

    before: str
    after: str
    blocks: Blocks | None
    packages: Difference
    facts: dict[str, tuple[str, str]] = field(default_factory=dict)


def blocks(before: Index, after: Index) -> Blocks:
    """Compare two disks, block by block."""
    was = {block.number: block.sha256 for block in before.blocks}
    now = {block.number for block in after.blocks}
    changed = [block for block in after.blocks if was.get(block.number) != block.sha256]
    return Blocks(
        same=len(after.blocks) - len(changed),
        changed=len(changed),
        emptied=len(was.keys() - now),
        moved=sum(block.length for block in changed),
        grown=after.size - before.size,
    )


def facts(before: Image, after: Image) -> dict[str, tuple[str, str]]:
    """What is known of them, where it is other."""
    rows = {
        "kind": (before.kind, after.kind),
        "architecture": (str(before.architecture or ""), str(after.architecture or "")),
        "boot modes": (",".join(before.boot_modes), ",".join(after.boot_modes)),
        "kernel": (before.kernel, after.kernel),
        "family": (before.family, after.family),
        "size": (str(before.size), str(after.size)),
    }
    return {name: (str(one), str(two)) for name, (one, two) in rows.items() if one != two}
