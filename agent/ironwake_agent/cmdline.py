"""What the kernel command line says to the agent: where to call, as whom, through which card."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ironwake import routes
from ironwake.errors import InputError
from ironwake.mac import Mac
from ironwake.names import KernelWord
from ironwake.order import Archive

_TOOLS = re.compile(r"(artifacts/([0-9a-f]{64})/[A-Za-z0-9._-]+),([0-9]{1,12})", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,256}", re.ASCII)


@dataclass(frozen=True)
class Boot:
    """`url` has no slash at the end; `mac` is the card that booted, where the loader said it.

    `consoles` are the `console=` words, for the installed system: who boots a machine by its serial
    line wants to read it afterwards too. `tools` is the ramdisk's second part.
    """

    url: str
    token: str
    mac: Mac | None
    consoles: tuple[KernelWord, ...]
    tools: Archive | None = None

    @property
    def order(self) -> str:
        return routes.order(self.url, self.token)

    @property
    def callbacks(self) -> str:
        return routes.callbacks(self.url, self.token)


def parse(text: str) -> Boot:
    """From `/proc/cmdline`; InputError naming the word that is missing or wrong."""
    words = text.split()
    values = dict(word.split("=", 1) for word in words if "=" in word)
    url = values.get("ironwake.url", "").rstrip("/")
    if not url.startswith("http://"):
        raise _missing("ironwake.url", "an address such as ironwake.url=http://192.0.2.10")
    token = values.get("ironwake.token", "")
    if not _TOKEN.fullmatch(token):
        raise _missing("ironwake.token", "the deployment's token")
    consoles = tuple(KernelWord(word) for word in words if word.startswith("console="))
    tools = _tools(url, values.get(routes.TOOLS_WORD, ""))
    return Boot(url, token, _card(values.get("BOOTIF", "")), consoles, tools)


def _tools(url: str, word: str) -> Archive | None:
    if not word:
        return None
    found = _TOOLS.fullmatch(word)
    if not found:
        raise _missing(routes.TOOLS_WORD, "the ramdisk's second part")
    path, sha256, size = found.groups()
    return Archive(f"{url}/{path}", sha256, int(size), 0)


def _card(text: str) -> Mac | None:
    return Mac(re.sub(r"^01[-:]", "", text)) if text else None


def _missing(name: str, wanted: str) -> InputError:
    return InputError(
        f"the kernel command line has no usable {name}",
        f"boot this ramdisk by Ironwake, which gives {wanted}",
    )
