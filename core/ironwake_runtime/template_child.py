"""The process that renders one template: standard input to standard output, then its end.

It bounds itself before it reads anything, has no file open for writing, and nothing in it may start
another process. `ironwake_runtime.templates` starts it, and bounds its time.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from importlib import import_module
from typing import Any

from ironwake.errors import InputError
from ironwake.quoting import FILTERS

_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_TYPE = re.compile(r"'(?:[a-z]+ object|str|int|float|bool|list|dict|tuple|NoneType)'").fullmatch


def main() -> None:
    """Reads {text, data, memory, seconds, output}; writes {text} or {error}."""
    asked = json.load(sys.stdin.buffer)
    # What is needed is loaded first: modules are files, and later none can be opened.
    import_module("encodings.unicode_escape")
    import_module("jinja2.debug")
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    _bound(asked["memory"], asked["seconds"])
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True
    )
    del environment.globals["lipsum"]
    environment.filters |= {name: _checked(quote) for name, quote in FILTERS.items()}
    try:
        pieces, size = [], 0
        for piece in environment.from_string(asked["text"]).generate(asked["data"]):
            size += len(piece)
            if size > asked["output"]:
                raise InputError(f"it makes more than {asked['output']} characters", "shorten it")
            pieces.append(piece)
        answer: dict[str, Any] = {"text": "".join(pieces)}
    except (TemplateError, InputError) as error:
        line = getattr(error, "lineno", None) or _line(error)
        said = error.what if isinstance(error, InputError) else error.message or ""
        said = _without_values(said, asked["text"])
        answer = {"error": said, "line": line}
    except MemoryError:
        answer = {"error": "it takes too much memory", "line": None}
    except Exception as error:  # noqa: BLE001 (anything may come; its words may be secrets)
        answer = {"error": f"it fails with {type(error).__name__}", "line": _line(error)}
    json.dump(answer, sys.stdout)


def _bound(memory: int, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))  # for root it is no limit
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _checked(quote: Any) -> Any:
    def quoted(value: object) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise InputError("a filter takes one text", "name the one that is meant")
        return str(quote(str(value)))

    return quoted


def _without_values(said: str, text: str) -> str:
    """jinja2 names what is missing: a name that is not in the template was computed of a value."""
    return _QUOTED.sub(lambda one: one[0] if one[0][1:-1] in text or _TYPE(one[0]) else "…", said)


def _line(error: BaseException) -> int | None:
    """Where in the template; jinja2 puts its lines into the traceback."""
    found, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == "<template>":
            found = step.tb_lineno
        step = step.tb_next
    return found


if __name__ == "__main__":
    main()
