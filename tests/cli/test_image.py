"""`ironwake image`: from a file to a version and back, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ironwake_testing.stand_in import Answer
from tests.cli.conftest import Cli
from tests.imager.library import disks


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disks.raw(tmp_path_factory.mktemp("disk") / "web.raw")


@pytest.fixture
def stocked(cli: Cli, disk: Path) -> Cli:
    """A command line whose library has one image."""
    assert cli("image", "import", str(disk), "--as", "web").code == 0
    return cli


def test_the_way_of_an_image(cli: Cli, disk: Path, tmp_path: Path) -> None:
    """Imported, shown, tagged, verified, compared, written out."""
    done = cli("image", "import", str(disk), "--as", "web")
    assert done.out == "web@1 is there: disk, 101 MB, boots by bios and uefi\n"
    assert "packing 96 MiB" in done.err
    again = cli("image", "import", str(disk), "--as", "web", "--json")
    assert json.loads(again.out)["name"] == "web@1"
    assert cli("image", "tag", "web@1", "stable").out == "web@stable is web@1 now\n"
    lines = cli("image", "list").out.splitlines()
    assert lines[0].split() == [
        *("IMAGE", "TAGS", "KIND", "SIZE", "ARCHITECTURE", "BOOTS", "FAMILY", "BUILT")
    ]
    assert lines[1].split()[:3] == ["web@1", "stable", "disk"]
    assert "kernel        6.1.0-50-amd64\n" in cli("image", "show", "web@stable").out
    assert json.loads(cli("image", "show", "web", "--json").out)["packages"] == [
        *("bash 5.2.15-2", "libc6 2.36-9")
    ]
    assert cli("image", "verify", "web").out == "web@1 is as it was imported\n"
    assert cli("image", "diff", "web", "web@1").out.startswith("blocks: 0 changed")
    out = tmp_path / "out.raw"
    assert cli("image", "export", "web", str(out)).code == 0
    disks.run("cmp", disk, out)
    assert cli("image", "export", "web", str(out)).code == 4
    assert json.loads(cli("media", "list", "--json").out) == []


def test_removal_asks_who_has_it(stocked: Cli) -> None:
    """A machine that has it, a tag, and an appliance that is away: each needs --force."""
    shown = {"machines": ["node1"]}
    stocked.controller.on("GET", "/v1/images/web%401", Answer(200, shown))
    done = stocked("image", "rm", "web")
    assert (done.code, "node1 has web@1" in done.err) == (4, True)
    stocked.controller.on("GET", "/v1/images/web%401", Answer(200, {"machines": []}))
    stocked("image", "tag", "web", "stable")
    done = stocked("image", "rm", "web")
    assert (done.code, "has the tag stable" in done.err) == (4, True)
    stocked("image", "tag", "web", "stable", "--remove")
    assert stocked("image", "rm", "web@1").out == "web@1 is gone\n"
    assert json.loads(stocked("image", "list", "--json").out) == []


def test_removal_while_the_appliance_is_away(stocked: Cli) -> None:
    """Nobody can say who has it; by force it goes."""
    away = {"IRONWAKE_CONTROLLER_URL": "http://127.0.0.1:1"}
    done = stocked("image", "rm", "web", **away)
    assert (done.code, "nobody can say" in done.err) == (5, True)
    assert stocked("image", "rm", "web", "--force", **away).code == 0


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("import", "{disk}", "--as", "Web"), 2, "is no image"),
        (("import", "/nowhere", "--as", "web"), 2, "/nowhere: there is no such file"),
        (("import", "http://a.example/x", "--as", "web"), 2, "IRONWAKE_IMAGE_HOSTS"),
        (("import", "{disk}", "--as", "web", "--format", "vmdk"), 2, "there are: raw, qcow2"),
        (("import", "{disk}", "--as", "web", "--kernel", "old"), 2, "there are: auto"),
        (("import", "{disk}", "--as", "web", "--architecture", "vax"), 2, "there are: amd64"),
        (("import", "{disk}", "--as", "web", "--sha256", "00"), 4, "it has the SHA-256"),
        (("show", "web"), 3, "there is no image web; there are: none"),
        (("verify", "web@"), 2, "is no image"),
        (("tag", "web", "stable"), 3, "there is no image web"),
        (("build", "debian-1", "--as", "web"), 3, "known are: debian-12"),
    ],
)
def test_mistakes(cli: Cli, disk: Path, words: tuple[str, ...], code: int, says: str) -> None:
    """One line each, with what to do."""
    done = cli(
        "image",
        *(word.format(disk=disk) for word in words),
        IRONWAKE_MIRROR="http://mirror.example/debian",
    )
    assert (done.code, done.err.count("ironwake: ")) == (code, 1), done.err
    assert says in done.err
    assert "Traceback" not in done.err
