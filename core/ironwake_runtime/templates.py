"""A person's own answer file, rendered: jinja2's sandbox, strict, in a process with limits.

What a sandbox lets through by mistake still has no file, no other process, and a few seconds. What
it says of itself is the line and the template's mistake, never a value.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironwake.errors import InputError
from ironwake_runtime import folders

LARGEST = 256 << 10  # bytes of a template
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


@dataclass(frozen=True)
class Limits:
    """Of one rendering: `seconds` of processor and, in all, four times as many; bytes of address
    space; characters of the result."""

    seconds: int = 5
    memory: int = 512 << 20
    output: int = 1 << 20


def read(folder: Path, name: str) -> str:
    """The template of this name, beside the profiles; InputError where it cannot be one."""
    if not _NAME.fullmatch(name) or name.endswith((".yaml", ".yml")):
        raise InputError(
            f"{name!r:.60} is no template's name",
            "name a file beside the profile that does not end in .yaml",
            "template",
        )
    try:
        with folders.own(folder / name, folder, "template").open("rb") as file:
            raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise InputError(f"{name} has more than {LARGEST} bytes", "shorten it", "template")
        return raw.decode()
    except (OSError, UnicodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        step = f"put it into {folder}"
        raise InputError(f"{name} cannot be read: {what}", step, "template") from None


def render(text: str, data: Mapping[str, Any], limits: Limits | None = None) -> str:
    """The template's text with this data in it; InputError, with the line, where it fails."""
    limits = limits or Limits()
    asked = {
        "text": text,
        "data": data,
        "memory": limits.memory,
        "seconds": limits.seconds,
        "output": limits.output,
    }
    # Nothing of our own environment, where secrets may be; only the way to our code.
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "ironwake_runtime.template_child"],
            input=json.dumps(asked).encode(),
            capture_output=True,
            check=False,
            timeout=4 * limits.seconds,
            env=environment,
            cwd="/",
        )
    except subprocess.TimeoutExpired:
        raise InputError("the template takes too long", "shorten it", "template") from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        why = "takes too long" if done.returncode < 0 else "takes too much memory"
        raise InputError(f"the template {why}", "shorten it", "template") from None
    if "error" in answer:
        line = f"line {answer['line']}: " if answer["line"] else ""
        raise InputError(f"the template is wrong: {line}{answer['error']}", "", "template")
    return str(answer["text"])
