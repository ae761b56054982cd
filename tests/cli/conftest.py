"""Runs commands as `ironwake` does, against a controller that the test holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ironwake_cli.__main__ import run
from ironwake_testing.stand_in import StandIn, standing_in


@dataclass(frozen=True)
class Done:
    """What a run left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


class Cli:
    """`cli("machine", "list")` runs it; `environ` is its environment, `controller` what answers."""

    def __init__(
        self, controller: StandIn, state: Path, capture: pytest.CaptureFixture[str]
    ) -> None:
        self.controller = controller
        self.state = state
        self.environ = {
            "IRONWAKE_STATE_DIR": str(state),
            "IRONWAKE_CONTROLLER_URL": controller.url,
            "IRONWAKE_CACHE_DIR": str(state / "cache"),
        }
        self._capture = capture

    def __call__(self, *words: str, **environ: str) -> Done:
        self._capture.readouterr()
        code = run(words, {**self.environ, **environ})
        seen = self._capture.readouterr()
        return Done(code, seen.out, seen.err)


@pytest.fixture
def controller() -> Iterator[StandIn]:
    with standing_in() as stand_in:
        yield stand_in


@pytest.fixture
def cli(controller: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    secrets = tmp_path / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "admin.token").write_text(f"{controller.token}\n")
    (secrets / "admin.token").chmod(0o600)
    return Cli(controller, tmp_path, capsys)
