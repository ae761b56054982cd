"""How a run ends when something is wrong: one line, the next step, the right exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwake_testing.stand_in import Answer

from .conftest import Cli


def test_no_traceback_and_one_line(cli: Cli) -> None:
    """Whatever is mistyped, the answer is one line that says what to do, and exit code 2."""
    cases = {
        ("srve",): "no such command 'srve'",
        ("enroll",): "missing argument 'name'",
        ("enroll", "node1"): "missing option '--mac'",
        ("enroll", "node1", "--mac", "52:54"): "'52:54' is not a MAC address",
        ("enroll", "Node_1", "--mac", "52:54:00:77:00:10"): "'Node_1' is not a host name",
        ("enroll", "n", "--mac", "525400770010", "--label", "x"): "'x' is not a label",
        ("deploy", "node1", "--nope"): "no such option: --nope",
        ("settings", "--json", "--markdown"): "exclude each other",
        ("plan", "node1", "--firmware", "nope"): "there is no firmware 'nope'",
    }
    for words, said in cases.items():
        done = cli(*words)
        assert (done.code, done.out) == (2, ""), words
        assert done.err.startswith("ironwake: "), words
        assert done.err.count("\n") == 1, done.err
        assert said in done.err.lower() or said in done.err
        assert "; " in done.err  # the next step


def test_an_unknown_setting_is_named(cli: Cli) -> None:
    """A mistyped setting ends any command that reads settings."""
    done = cli("machine", "list", IRONWAKE_INTERFCE="eth0")
    assert done.code == 2
    assert "did you mean IRONWAKE_INTERFACE?" in done.err


def test_a_missing_token_says_where_it_comes_from(cli: Cli, tmp_path: Path) -> None:
    """Before the first start there is no token; the message says what makes one."""
    done = cli("--token-file", str(tmp_path / "none"), "machine", "list")
    assert done.code == 5
    assert f"no admin token in {tmp_path}/none; start the appliance" in done.err


def test_a_named_token_file_is_used(cli: Cli, tmp_path: Path) -> None:
    """--token-file goes before the one of the state folder; a wrong token is told as such."""
    (tmp_path / "wrong").write_text("nope")
    done = cli("--token-file", str(tmp_path / "wrong"), "machine", "list")
    assert done.code != 0
    assert "the token is wrong; read it from its file" in done.err


def test_a_controller_that_is_away(cli: Cli) -> None:
    """The address that does not answer is named, and what starts it."""
    done = cli("machine", "list", IRONWAKE_CONTROLLER_URL="http://127.0.0.1:1")
    assert done.code == 5
    assert "the controller at http://127.0.0.1:1 does not answer" in done.err
    assert "ironwake serve" in done.err


def test_something_else_answers(cli: Cli) -> None:
    """A web page where the API should be is told plainly."""
    cli.controller.on("GET", "/v1/machines/node1", Answer(200, "<html>", "text/html"))
    done = cli("machine", "show", "node1")
    assert done.code == 5
    assert "is not the controller; see IRONWAKE_CONTROLLER_URL" in done.err


@pytest.mark.parametrize(("status", "code"), [(404, 3), (409, 4), (410, 4), (422, 2), (503, 5)])
def test_the_controllers_words_and_exit_codes(cli: Cli, status: int, code: int) -> None:
    """An error of the controller keeps its words; its kind is the exit code."""
    problem = {"title": "x", "status": status, "detail": "so it is", "next_step": "do that"}
    cli.controller.on("POST", "/v1/machines/node1/wake", Answer(status, problem))
    done = cli("wake", "node1")
    assert (done.code, done.err) == (code, "ironwake: so it is; do that\n")


def test_a_name_cannot_reach_another_path(cli: Cli) -> None:
    """Slashes and dots in a name stay a name."""
    cli("machine", "rm", "../deployments/x")
    assert [asked.path for asked in cli.controller.asked] == ["/v1/machines/..%2Fdeployments%2Fx"]


def test_serve_refuses_before_it_touches_anything(cli: Cli, tmp_path: Path) -> None:
    """No interface: the candidates are named, and not even a folder is made."""
    state = tmp_path / "fresh"
    done = cli("serve", IRONWAKE_STATE_DIR=str(state))
    assert done.code == 2
    assert "IRONWAKE_INTERFACE: no network interface is named" in done.err
    assert "there are: " in done.err
    assert not state.exists()


@pytest.mark.parametrize("listen", ["8080", "here", "127.0.0.1:", "127.0.0.1:99999", ":8080"])
def test_serve_refuses_a_wrong_listening_address(cli: Cli, listen: str) -> None:
    """What is not an address and a port is told with an example of one."""
    done = cli("serve", IRONWAKE_INTERFACE="lo", IRONWAKE_CONTROLLER_LISTEN=listen)
    assert done.code == 2
    assert "write it as 127.0.0.1:8080" in done.err
