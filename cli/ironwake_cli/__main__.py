"""The command line: which commands there are, and how a run of one ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from ironwake.errors import IronwakeError
from ironwake_cli import (
    bundle,
    cache,
    demo,
    deploy,
    doctor,
    firmware,
    image,
    image_capture,
    lab,
    lease,
    machine,
    media,
    plan,
    power,
    profile,
    profile_lint,
    serve,
    settings,
    site,
    storm,
    token,
    watch,
)
from ironwake_cli.session import Session

_INTERRUPTED = 130  # 128 + SIGINT, as shells say it

Command = Callable[..., None]

_SHORT: dict[str, Command] = {
    "enroll": machine.enroll,
    "deploy": deploy.deploy,
    "plan": plan.plan,
    "wake": power.wake,
    "power": power.power,
    "watch": watch.watch,
    "cancel": deploy.cancel,
    "doctor": doctor.doctor,
    "serve": serve.serve,
    "settings": settings.settings,
    "site": site.site,
    "token": token.token,
}
_NOUNS: dict[str, tuple[str, dict[str, Command]]] = {
    "machine": (
        "Physical computers that are known.",
        {
            "add": machine.enroll,
            "list": machine.listing,
            "show": machine.show,
            "rm": machine.remove,
            "lock": machine.lock,
            "unlock": machine.unlock,
            "set": machine.change,
            "confirm": machine.confirm,
        },
    ),
    "deployment": (
        "What was begun, and how it went.",
        {"list": deploy.listing, "show": deploy.show, "keys": deploy.keys, "end": deploy.end},
    ),
    "lease": (
        "Addresses that our DHCP server has given.",
        {"list": lease.listing, "reserve": lease.reserve},
    ),
    "profile": (
        "What machines can become.",
        {
            "list": profile.listing,
            "show": profile.show,
            "import-layout": profile.import_layout,
            "lint": profile_lint.lint,
        },
    ),
    "firmware": (
        "How firmware is answered, and what was learned of it.",
        {"list": firmware.listing, "export": firmware.export},
    ),
    "media": (
        "Operating systems, loaders and ramdisks.",
        {
            "list": media.listing,
            "add": media.add,
            "catalogue": media.catalogue,
            "verify": media.verify,
            "rm": media.remove,
        },
    ),
    "image": (
        "Disks and root file systems that machines can be given.",
        {
            "import": image.bring,
            "build": image.build,
            "capture": image_capture.capture,
            "list": image.listing,
            "show": image.show,
            "verify": image.verify,
            "diff": image.diff,
            "tag": image.tag,
            "export": image.export,
            "rm": image.remove,
        },
    ),
    "bundle": (
        "Everything for a site without a network, in one file.",
        {"export": bundle.export, "import": bundle.bring},
    ),
    "cache": (
        "Packages close by: what the package cache keeps.",
        {"status": cache.status, "clean": cache.clean},
    ),
    "lab": (
        "Virtual racks, to try everything without hardware.",
        {
            "up": lab.up,
            "down": lab.down,
            "list": lab.listing,
            "power": lab.power,
            "console": lab.console,
            "exec": lab.execute,
            "demo": demo.demo,
            "storm": storm.storm,
        },
    ),
}
# What follows the rack's name belongs to the command that is run there.
_CONTEXT: dict[Command, dict[str, Any]] = {
    lab.execute: {"allow_extra_args": True, "ignore_unknown_options": True}
}


def build() -> typer.Typer:
    """The application with all its commands."""
    app = typer.Typer(
        name="ironwake",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )
    app.callback()(common)
    for name, command in _SHORT.items():
        app.command(name)(command)
    for noun, (help_text, verbs) in _NOUNS.items():
        group = typer.Typer(no_args_is_help=True, help=help_text)
        for verb, command in verbs.items():
            group.command(verb, context_settings=_CONTEXT.get(command))(command)
        app.add_typer(group, name=noun)
    return app


def common(
    context: typer.Context,
    token_file: Path | None = typer.Option(
        None, "--token-file", help="file with the admin token; default: the one in the state folder"
    ),
) -> None:
    """Wake bare-metal machines, put an operating system on their disks, and prove that it worked.

    Settings are read from IRONWAKE_… in the environment.

    Example:

        ironwake enroll node1 --mac 52:54:00:77:00:10
        ironwake deploy node1 --profile debian-12 --watch
    """
    if token_file is not None:
        context.obj = Session(context.find_object(Session).environ, token_file)  # type: ignore[union-attr]


def run(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command; the exit code. Errors are one line on standard error, never a traceback."""
    try:
        result = build()(
            list(words), standalone_mode=False, obj=Session(environ), prog_name="ironwake"
        )
    except IronwakeError as error:
        return _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        return _fail(f"{_sentence(error)}; see: {_help(error)} --help", error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(f"{error.filename or 'the system'}: {error.strerror or error}", 5)
    except Exception as error:  # the fence: a user reads a line, no traceback
        if environ.get("IRONWAKE_LOG_LEVEL") == "debug":
            raise
        words = f"a fault of Ironwake itself: {type(error).__name__}: {error}"
        return _fail(f"{words}; run it with IRONWAKE_LOG_LEVEL=debug, and report what it says", 1)
    return result if isinstance(result, int) else 0


def _sentence(error: typer.TyperException) -> str:
    text = " ".join(error.format_message().split()).rstrip(".")
    return text[:1].lower() + text[1:]


def _help(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return context.command_path if context is not None else "ironwake"


def _fail(line: str, code: int) -> int:
    typer.echo(f"ironwake: {line}", err=True)
    return code


def main() -> None:
    """Entry point of `ironwake` and of `python -m ironwake_cli`."""
    sys.exit(run(sys.argv[1:], os.environ))


if __name__ == "__main__":
    main()
