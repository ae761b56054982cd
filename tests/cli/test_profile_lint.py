"""`ironwake profile lint`: each wrong profile is named with file, line and reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ironwake_cli.__main__ import run

HEAD = "release: debian-12\nmethod: script\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeFakeFakeFakeFakeFake me@laptop"

# Name → the file, its wrong line, words of the reason.
WRONG: dict[str, tuple[str, int, str]] = {
    "no-release": ("release: debian-1\n", 1, "there is no release 'debian-1'"),
    "nothing": ("", 1, "the file is empty"),
    "a-list": ("- release: debian-12\n", 1, "an object is wanted"),
    "no-yaml": ("release: [debian-12\n", 2, "expected"),
    "twice": ("release: debian-12\nmethod: script\nrelease: debian-13\n", 3, "given twice"),
    "alias": ("release: &a debian-12\nimage: *a\n", 2, "aliases are not taken"),
    "tag": (HEAD + "finish: !!bool maybe\n", 1, "this is not YAML"),
    "no-method": ("release: debian-12\nmethod: magic\n", 2, "none of"),
    "no-field": ("release: debian-12\nmethods: script\n", 2, "there is no field 'methods'"),
    "no-system": ("method: archive\n", 1, "this field is missing"),
    "two-systems": ("release: debian-12\nimage: web\n", 2, "made of one thing"),
    "old-user": ("release: debian-12\nuser: {name: a}\n", 2, "there is no field 'user'"),
    "finish": (HEAD + "finish: kexec\n", 3, "takes no finish"),
    "no-number": (HEAD + "expected_reboots: yes\n", 3, "a whole number is wanted"),
    "reboots": (HEAD + "expected_reboots: 90\n", 3, "no number of reboots"),
    "parameter": (HEAD + "parameters:\n  timezon: UTC\n", 4, "there is no field 'timezon'"),
    "timezone": (HEAD + "parameters:\n  timezone: '$(reboot)'\n", 4, "is not right here"),
    "locale": (HEAD + "parameters:\n  locale: 'de DE'\n", 4, "is not right here"),
    "hostname": (HEAD + "parameters:\n  hostname: Web_1\n", 4, "is not a host name"),
    "domain": (HEAD + "parameters:\n  domain: -a.b\n", 4, "is not a domain name"),
    "package": (HEAD + "parameters:\n  packages:\n    - 'a;b'\n", 4, "is not right here"),
    "argument": (HEAD + "parameters:\n  kernel_arguments: ['a b']\n", 4, "kernel command line"),
    "user": (HEAD + "parameters:\n  users:\n    - name: Admin\n", 5, "is not a user name"),
    "ssh-key": (
        HEAD + "parameters:\n  users:\n    - name: a\n      ssh_keys: [ssh-rsa]\n",
        6,
        "is not a public SSH key",
    ),
    "hash": (
        HEAD + "parameters:\n  users:\n    - name: a\n      password_hash: secret\n",
        6,
        "this is not a password hash",
    ),
    "plain": (
        HEAD + "parameters:\n  users:\n    - name: a\n      password: secret\n",
        6,
        "takes no plain password",
    ),
    "same-user": (HEAD + "parameters:\n  users: [{name: a}, {name: a}]\n", 4, "given twice"),
    "root": (HEAD + "parameters:\n  root: keys\n", 3, "belong together"),
    "proxy": (HEAD + "parameters:\n  proxy: ftp://192.0.2.1\n", 4, "is no URL"),
    "vlan": (
        HEAD + "parameters:\n  network:\n    devices:\n      - {name: a, kind: vlan, vlan: 9999}\n",
        6,
        "no number of a VLAN",
    ),
    "bond": (
        HEAD + "parameters:\n  network:\n    devices:\n      - {name: a, kind: bond, of: [eth0]}\n",
        6,
        "is neither boot, nor a MAC address",
    ),
    "address": (
        HEAD + "parameters:\n  network:\n    devices:\n      - {name: a, addresses: [10.0.0.1]}\n",
        6,
        "has no prefix",
    ),
    "layout": (HEAD + "layout:\n  disks: []\n", 4, ""),
    "no-template": (HEAD + "parameters: {template: own.cfg}\n", 3, "own.cfg cannot be read"),
    "wrong-template": (
        HEAD + "parameters:\n  template: wrong.cfg\n",
        4,
        "line 2: 'nothing' is undefined",
    ),
    "archive-security": (
        "release: debian-12\nparameters:\n  security: permissive\n",
        3,
        "AppArmor is permissive by profile",
    ),
    "fragment": (
        HEAD + "parameters:\n  fragments:\n    debian: |\n      d-i no-such\n",
        5,
        "is no owner, name and type",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them, and two that are right."""
    made = tmp_path_factory.mktemp("profiles")
    for name, (text, _, _) in WRONG.items():
        (made / f"{name}.yaml").write_text(text)
    (made / "Wrong Name.yaml").write_text(HEAD)
    (made / "ending.yml").write_text(HEAD)
    (made / "wrong.cfg").write_text("one\n{{ nothing }}\n")
    (made / "own.preseed").write_text("d-i debian-installer/locale string C\n")
    (made / "good.yaml").write_text(
        HEAD + f'parameters: {{users: [{{name: a, ssh_keys: ["{KEY}"]}}]}}\n'
    )
    (made / "also-good.yaml").write_text(HEAD + "parameters: {template: own.preseed}\n")
    return made


def test_each_wrong_profile_is_named_with_line_and_reason(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """More than thirty of them, each with its own mistake; those that are right are not named."""
    assert len(WRONG) >= 30
    assert run(("profile", "lint", str(folder), "--json"), {}) == 1
    report = json.loads(capsys.readouterr().out)
    found = {Path(one["file"]).stem: one for one in reversed(report["findings"])}
    assert set(found) == {*WRONG, "Wrong Name", "ending"}
    for name, (_, line, says) in WRONG.items():
        one = found[name]
        assert (name, one["line"]) == (name, line)
        assert says in one["what"], (name, one)
    assert len(report["looked_at"]) == len(WRONG) + 4


def test_what_is_said_to_people_is_said_as_compilers_do(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, line, field, reason and next step on one line, for editors; status 1."""
    path = folder / "timezone.yaml"
    assert run(("profile", "lint", str(path)), {}) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{path}:4: parameters.timezone: '$(reboot)' is not right here; ")


def test_right_ones_end_with_status_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And a profile's template is tried, and judged, as well."""
    words = ("profile", "lint", str(folder / "good.yaml"), str(folder / "also-good.yaml"))
    assert run(words, {}) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "says"),
    [("talos-1.11", "without a look"), ("windows-11", "nothing of a disk but its partitions")],
)
def test_who_cannot_look_at_a_disk_is_told_of_before_anything_is_deployed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, says: str
) -> None:
    """The profile is right; but a deployment of it will have to name the disk."""
    machine = {"type": "worker", "token": "t", "ca": {"crt": "c"}}
    more = {
        "talos-1.11": {"fragments": {"talos": {"machine": machine, "cluster": {}}}},
        "windows-11": {"users": [{"name": "admin", "password": "a plain one"}]},
    }[name]
    profile = {"release": name, "method": "script", "disk": {"match": "WD-1"}, "parameters": more}
    path = tmp_path / "one.yaml"
    path.write_text(json.dumps(profile))
    assert run(("profile", "lint", str(path)), {}) == 0
    (said, _) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"note: {path}:1: disk: ")
    assert says in said
    assert said.endswith("name the disk with --erase")


def test_a_disk_that_a_fragment_names_will_have_to_be_named_by_whoever_deploys_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The profile is right, and its answers are judged as any."""
    disks = {"storage": {"disks": [{"device": "/dev/disk/by-id/data", "wipeTable": True}]}}
    profile = {"release": "fedora-coreos", "method": "script"}
    path = tmp_path / "one.yaml"
    path.write_text(json.dumps({**profile, "parameters": {"fragments": {"coreos": disks}}}))
    assert run(("profile", "lint", str(path), "--json"), {}) == 0
    report = json.loads(capsys.readouterr().out)
    (note,) = report["notes"]
    assert "which nobody has looked at" in note["what"]
    assert note["next_step"].endswith("--erase /dev/disk/by-id/data")


def test_no_link_in_somebodys_folder_shows_a_file_of_this_host(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A check of what strangers send in looks at it on one's own host: neither a profile, nor its
    template, nor a file of parameters is a way to have others quoted."""
    canary, folder = "canary-5d1c", tmp_path / "sent-in"
    (tmp_path / "secret").write_text(f"{canary}: of this host\n")
    (folder / "groups").mkdir(parents=True)
    for name in ("linked.yaml", "own.ks", "groups/linked.yaml", "site.yaml"):
        (folder / name).symlink_to(tmp_path / "secret")
    (folder / "web.yaml").write_text(
        "release: rocky-9\nmethod: script\nparameters: {template: own.ks}\n"
    )
    assert run(("profile", "lint", str(folder), "--parameters", str(folder)), {}) == 1
    said = "".join(capsys.readouterr())
    assert said.count(f"leads out of {folder}") >= 4
    assert canary not in said


def test_the_scopes_of_a_machine_are_joined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a group of this machine states is checked with the profile, and told as the group's."""
    (tmp_path / "groups").mkdir()
    (tmp_path / "groups/db.yaml").write_text(
        "match: {role: db}\nparameters: {security: permissive}\n"
    )
    (tmp_path / "web.yaml").write_text("release: debian-12\n")
    words = ("profile", "lint", str(tmp_path / "web.yaml"), "--parameters", str(tmp_path))
    assert run(words, {}) == 0
    capsys.readouterr()
    assert run((*words, "--label", "role=db"), {}) == 1
    assert "stated by the group db (priority 100)" in capsys.readouterr().out
    (tmp_path / "site.yaml").write_text("parameters:\n  ntpp: []\n")
    assert run(words, {}) == 1
    assert "site.yaml:2" in capsys.readouterr().out


def test_our_own_profiles_are_right() -> None:
    """Those that come with the project."""
    root = Path(__file__).parents[2]
    assert (
        run(
            ("profile", "lint", str(root / "profiles"), "--parameters", str(root / "parameters")),
            {},
        )
        == 0
    )
