"""The playbook as files: linted, only built-in modules, and every variable documented."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "ansible"
DOCS = (ROOT / "docs" / "ansible.md").read_text(encoding="utf-8")
TASKS = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("tasks/*.yml")}


def test_ansible_lint_is_content(tmp_path: Path) -> None:
    """ansible-lint, profile production, without asking the network."""
    words = ["--offline", "--profile", "production", "--nocolor", "ansible"]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "ANSIBLE_HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-lint"), *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _modules(tasks: list[dict[str, Any]]) -> set[str]:
    found: set[str] = set()
    for task in tasks:
        for part in ("block", "rescue", "always"):
            found |= _modules(task.get(part, []))
        found |= {key for key in task if "." in key}
    return found


def test_only_what_ansible_brings_along() -> None:
    """ansible-core alone is enough: no collections."""
    modules = set().union(*(_modules(yaml.safe_load(text)) for text in TASKS.values()))
    assert modules
    assert all(module.startswith("ansible.builtin.") for module in modules)


def test_every_variable_is_documented() -> None:
    """What a person may set stands in docs/ansible.md; what is in its tables is used."""
    text = "".join(TASKS.values())
    made = set(re.findall(r"register: (\w+)", text))
    for tasks in TASKS.values():
        for task in yaml.safe_load(tasks):
            made |= set(task.get("ansible.builtin.set_fact", ()))
    used = set(re.findall(r"\bironwake_\w+", text)) - made
    documented = set(re.findall(r"^\| `(\w+)` \|", DOCS, re.MULTILINE))
    assert used == {name for name in documented if name.startswith("ironwake_")}
    own = documented - used
    assert own == {"mac", "macs", "profile", "labels", "erase", "architecture"}
    assert all(re.search(rf"\b{name}\b", text) for name in own)


def test_the_documented_inventory_is_the_example() -> None:
    """docs/ansible.md shows ansible/inventory.example.yml, comments aside."""
    (shown,) = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    example = (FOLDER / "inventory.example.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(shown) == yaml.safe_load(example)
