"""People's accounts, as lines of passwd and its sisters. Pure: texts in, texts out.

The same as `useradd -m -G GROUPS`, without running the new system's programs.
"""

from __future__ import annotations

from collections.abc import Mapping

from ironwake.errors import BrokenError
from ironwake.names import UserName
from ironwake.parameters import User
from ironwake.parameters.model import RootPolicy

FILES = ("etc/passwd", "etc/shadow", "etc/group", "etc/gshadow", "etc/subuid", "etc/subgid")

# login.defs of Debian: people are 1000 to 59999, and each has 65536 subordinate ids from 100000 on.
_FIRST, _LAST = 1000, 59999
_LAST_SYSTEM = 999
_SUB_FIRST, _SUB_COUNT = 100_000, 65_536
_LOCKED = "!"
_MEMBERS = 3  # the column of group and of gshadow


def number(texts: Mapping[str, str], name: UserName) -> int:
    """The user and group number of an account: its own, or the first one that is free for both."""
    users = {row[0]: int(row[2]) for row in _rows(texts["etc/passwd"])}
    if name in users:
        return users[name]
    taken = set(users.values()) | {int(row[2]) for row in _rows(texts["etc/group"])}
    return next(uid for uid in range(_FIRST, _LAST + 1) if uid not in taken)


def add(texts: Mapping[str, str], user: User) -> dict[str, str]:
    """The six files with the account in them and in its groups; no hash locks the password.

    :raises BrokenError: the archive has an account or a group of that name already
    """
    name = user.name
    for file in ("etc/passwd", "etc/group"):
        if any(row[0] == name for row in _rows(texts[file])):
            raise BrokenError(
                f"the archive has {name!r} in /{file} already", "choose another user name"
            )
    uid = number(texts, name)
    new = _with_groups(texts, user)
    new["etc/passwd"] += f"{name}:x:{uid}:{uid}:{user.full_name}:/home/{name}:/bin/bash\n"
    new["etc/shadow"] += f"{name}:{user.password_hash or _LOCKED}:19700:0:99999:7:::\n"
    new["etc/group"] = _join(new["etc/group"], user) + f"{name}:x:{uid}:\n"
    new["etc/gshadow"] = _join(new["etc/gshadow"], user) + f"{name}:!::\n"
    for file in ("etc/subuid", "etc/subgid"):
        ranges = [(int(row[1]), int(row[2])) for row in _rows(texts[file])]
        first = max((start + count for start, count in ranges), default=_SUB_FIRST)
        new[file] += f"{name}:{first}:{_SUB_COUNT}\n"
    return new


def change(texts: Mapping[str, str], user: User) -> dict[str, str]:
    """The six files where the account is there already: in its groups, with this password.

    Without a hash its password stays what it is.
    """
    new = _with_groups(texts, user)
    for file in ("etc/group", "etc/gshadow"):
        new[file] = _join(new[file], user)
    if user.password_hash:
        rows = _rows(texts["etc/shadow"])
        for row in rows:
            if row[0] == user.name:
                row[1] = user.password_hash
        new["etc/shadow"] = "".join(f"{':'.join(row)}\n" for row in rows)
    return new


def home(passwd: str, name: str) -> str:
    """The account's folder; "" where there is no such account."""
    return next((row[5] for row in _rows(passwd) if row[0] == name and len(row) > 5), "")


def group(passwd: str, name: UserName) -> int:
    """The number of the account's own group."""
    return next(int(row[3]) for row in _rows(passwd) if row[0] == name)


def root_word(policy: RootPolicy, password_hash: str) -> str:
    """What stands for root in shadow: with keys, a word that is no password and locks nothing (an
    sshd without PAM lets nobody into a locked account, whatever the key).
    """
    words = {RootPolicy.KEYS: "*", RootPolicy.PASSWORD: password_hash}
    return words.get(policy, _LOCKED)


def set_root(shadow: str, word: str) -> str:
    """The text with that in root's line."""
    lines = []
    for line in shadow.splitlines():
        row = line.split(":")
        if row[0] == "root":
            row[1] = word
        lines.append(":".join(row))
    return "".join(f"{line}\n" for line in lines)


def _with_groups(texts: Mapping[str, str], user: User) -> dict[str, str]:
    """With those of its groups that were not there; numbered as `groupadd -r` does it."""
    new = dict(texts)
    rows = _rows(texts["etc/group"])
    there, taken = {row[0] for row in rows}, {int(row[2]) for row in rows}
    for name in dict.fromkeys(user.groups):
        if name not in there and name != user.name:
            free = next(gid for gid in range(_LAST_SYSTEM, 0, -1) if gid not in taken)
            taken.add(free)
            new["etc/group"] += f"{name}:x:{free}:\n"
            new["etc/gshadow"] += f"{name}:!::\n"
    return new


def _join(text: str, user: User) -> str:
    """Put an account into its groups, and sudo, where that is there."""
    wanted = {*user.groups, *(("sudo",) if user.admin else ())}
    lines = []
    for row in _rows(text):
        if row[0] in wanted and len(row) > _MEMBERS:
            members = dict.fromkeys((*row[_MEMBERS].split(","), user.name))
            row[_MEMBERS] = ",".join(filter(None, members))
        lines.append(":".join(row))
    return "".join(f"{line}\n" for line in lines)


def _rows(text: str) -> list[list[str]]:
    return [line.split(":") for line in text.splitlines() if line.strip()]
