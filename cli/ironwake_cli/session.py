"""What a command works with: the settings, the admin token, the controller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ironwake.errors import BrokenError, RefusedError

if TYPE_CHECKING:  # both take longer to import than `--help` may
    from ironwake_cli.api import Api
    from ironwake_runtime.settings import Settings


@dataclass(frozen=True)
class Session:
    """One run of the command line. `token_file` is what the person named, if anything."""

    environ: Mapping[str, str]
    token_file: Path | None = None

    @cached_property
    def settings(self) -> Settings:
        """InputError for a wrong or unknown setting."""
        from ironwake_runtime.settings import read

        return read(self.environ)

    @property
    def token_path(self) -> Path:
        return self.token_file or self.settings.admin_token_file

    @cached_property
    def api(self) -> Api:
        """The controller's API; the token is read now."""
        from ironwake_cli.api import Api

        return Api(self.settings.controller_url, self.token())

    def token(self) -> str:
        """The admin token; the error says why it cannot be had."""
        path = self.token_path
        try:
            return path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            step = "start the appliance with 'ironwake serve', or name the file with --token-file"
            raise BrokenError(f"there is no admin token in {path}", step) from None
        except PermissionError:
            raise RefusedError(
                f"the admin token in {path} is not readable for this user",
                "run this as root, or name a readable copy with --token-file",
            ) from None
        except (OSError, UnicodeError) as error:
            raise BrokenError(f"cannot read the admin token in {path}: {error}") from error


def of(context: typer.Context) -> Session:
    """The session that `main` has put into the context."""
    session = context.find_object(Session)
    if session is None:
        raise BrokenError("this command was called without a session")
    return session
