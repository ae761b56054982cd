"""Names of the new system, as its own programs would find them: its links stay within its root.

Out here an absolute link of the new system would lead into the ramdisk.
"""

from __future__ import annotations

from pathlib import Path

from ironwake.errors import BrokenError

_MOST_LINKS = 40  # as Linux follows them


def inside(root: Path, name: str, *, follow: bool = False) -> Path:
    """Where a name below `root` really is; what is missing is taken for folders.

    :param follow: also the last part, where that is a link
    :raises BrokenError: its links go round in a ring
    """
    done: list[str] = []
    todo = [part for part in reversed(name.split("/")) if part not in ("", ".")]
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            done = done[:-1]
            continue
        path = root.joinpath(*done, part)
        if path.is_symlink() and (todo or follow):
            links += 1
            if links > _MOST_LINKS:
                raise BrokenError(f"the links of /{name} of the new system go round in a ring")
            target = str(path.readlink())
            done = [] if target.startswith("/") else done
            todo += [one for one in reversed(target.split("/")) if one not in ("", ".")]
        else:
            done.append(part)
    return root.joinpath(*done)
