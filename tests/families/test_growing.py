"""Signs of life while an installer writes packages."""

from __future__ import annotations

from pathlib import Path

from ironwake.families import inside
from tests.families.shells import Machine, syntax

URL = "http://10.77.0.2/deployments/t/callbacks?stage=installing&id=packages-"


def test_a_system_that_grows_is_told_of_until_it_is_there(tmp_path: Path) -> None:
    """A minute in which nothing was written says nothing; the end is the end."""
    machine = Machine(tmp_path)
    unit = tmp_path / "mnt/etc/ironwake/health-url"
    unit.parent.mkdir(parents=True)
    minute = 'cat "$HERE/minutes" 2>/dev/null'
    machine.stub(
        "sleep",
        f'n=$(($({minute} || echo 0) + 1)); echo "$n" >"$HERE/minutes"; '
        f'[ "$n" -lt 6 ] || : >{unit}',
    )
    machine.stub("df", f'n=$({minute}); echo "$((n / 2))"')
    text = inside.growing(URL, "/mnt")
    assert syntax(text) == ""
    done = machine.run(f"{text}\nwait", "/mnt")
    assert done.told.splitlines() == [f"{URL}{number}" for number in (1, 2, 3)]


def test_an_installer_without_such_a_place_is_not_held_up(tmp_path: Path) -> None:
    """The loop is its own; what comes after it runs at once."""
    machine = Machine(tmp_path)
    machine.stub("sleep", "exit 1")
    done = machine.run(f"{inside.growing(URL, '/mnt')}\necho on >told\nwait", "/mnt")
    assert (done.status, done.told) == (0, "on\n")
