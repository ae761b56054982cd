"""A person's own answer file: rendered in a sandbox, with limits, and its mistakes told by line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ironwake.errors import InputError
from ironwake_runtime import templates
from ironwake_runtime.templates import Limits

DATA = {"name": "a b", "users": [{"name": "x"}], "secret": "canary"}


def test_it_is_rendered_with_the_filters_of_the_formats() -> None:
    """Line breaks stay, and a value is quoted by the format that it stands in."""
    text = "echo {{ name | shell }}\n<x y=\"{{ '<' | xml }}\"/>\n"
    assert templates.render(text, DATA) == "echo 'a b'\n<x y=\"&lt;\"/>\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a\n{{ nothing }}", "line 2: 'nothing' is undefined"),
        ("{{ users[0].password }}", "line 1"),
        ("\n\n{% if %}", "line 3"),
        ("{{ name | shel }}", "line 1: No filter named"),
        ("{{ users | shell }}", "a filter takes one text"),
        ("{{ '\\n' | preseed }}", "line break"),
        ("{{ secret + 1 }}", "line 1: it fails with TypeError"),
        ("{{ users[secret] }}", "line 1: 'list object' has no attribute …"),
        ('{{ name[secret ~ "\'\\""] }}', "line 1: 'str object' has no attribute …"),
        ("{{ users | map(secret) | list }}", "line 1: No filter named …"),
        ("{{ name['_' ~ secret ~ '__'] }}", "line 1"),
        ("{% include 'etc/passwd' %}", "line 1"),
        ("{{ name.__class__.__mro__ }}", "unsafe"),
        ("{{ cycler.__init__.__globals__ }}", "unsafe"),
        ("{{ users.append(1) }}", "unsafe"),
        ("{{ 'x'.ljust(10 ** 10) }}", "too much memory"),
        ("{% for a in range(99999) %}{{ 'x' * 99 }}{% endfor %}", "more than 1048576 characters"),
    ],
)
def test_mistakes_and_escapes_are_told_and_never_a_value(text: str, says: str) -> None:
    """Where and what, in words that hold no secret."""
    with pytest.raises(InputError) as caught:
        templates.render(text, DATA)
    assert says in caught.value.what
    assert "canary" not in str(caught.value)
    assert caught.value.where == "template"


def test_the_kernel_bounds_it_too() -> None:
    """No file can be opened or written, and nobody but root could start a process in it."""
    program = (
        "import resource; from ironwake_runtime.template_child import _bound; _bound(1 << 30, 9)\n"
        "print(*(resource.getrlimit(getattr(resource, f'RLIMIT_{name}'))\n"
        "        for name in ('AS', 'CPU', 'FSIZE', 'NOFILE', 'NPROC', 'CORE')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split("\n")[0] == (
        "(1073741824, 1073741824) (9, 9) (0, 0) (3, 3) (0, 0) (0, 0)"
    )


def test_one_that_has_no_end_is_ended() -> None:
    """Processor time is bounded by the kernel, whatever the template does."""
    text = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    with pytest.raises(InputError, match="takes too long"):
        templates.render(text, DATA, Limits(seconds=1))


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", ".hidden", "web.yaml", "", "a" * 70])
def test_only_a_file_beside_the_profiles_is_read(tmp_path: Path, name: str) -> None:
    """No path leads out of the folder, and a profile is no template."""
    with pytest.raises(InputError):
        templates.read(tmp_path, name)


def test_no_link_leads_to_a_file_of_this_host(tmp_path: Path) -> None:
    """What it says would be quoted where it is wrong. Within the folder links may lead anywhere: so
    are folders that are changed all at once."""
    folder, secret = tmp_path / "profiles", tmp_path / "secret"
    (folder / "..data").mkdir(parents=True)
    secret.write_text("canary")
    (folder / "..data" / "web.ks").write_text("text")
    (folder / "web.ks").symlink_to("..data/web.ks")
    (folder / "out.ks").symlink_to(secret)
    (folder / "round.ks").symlink_to("round.ks")
    os.mkfifo(folder / "pipe.ks")
    (tmp_path / "link").symlink_to(folder)
    for place in (folder, tmp_path / "link"):
        assert templates.read(place, "web.ks") == "text"
    for name, says in (("out", "leads out"), ("round", "cannot be read"), ("pipe", "is no file")):
        with pytest.raises(InputError, match=says) as caught:
            templates.read(folder, f"{name}.ks")
        assert caught.value.where == "template"


def test_a_file_that_is_too_large_or_not_there_is_told(tmp_path: Path) -> None:
    """With its name, and where to put it."""
    (tmp_path / "huge").write_bytes(b"x" * (templates.LARGEST + 1))
    for name, says in (("huge", "more than"), ("none", "cannot be read")):
        with pytest.raises(InputError, match=says):
            templates.read(tmp_path, name)
