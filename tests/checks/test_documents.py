"""What README and docs/ say is so: links, settings, ports, modules, routes, fields."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from ironwake import profile as profiles
from ironwake import release
from ironwake.parameters import Parameters
from ironwake.profile import Profile
from ironwake_cli import firmware, lifecycle
from ironwake_cli.renewal import renewed
from ironwake_controller import app
from ironwake_http.table import ROUTES
from ironwake_lab.firmware import FIRMWARE
from ironwake_runtime import yamlfile
from ironwake_runtime.settings import PREFIX, Settings
from ironwake_runtime.settings import read as read_settings
from ironwake_testing.tree import ROOT, blocks, documents, prose, python, read, rows
from tests.controller.appliance import Appliance

DOCUMENTS = documents()
SETTINGS = {PREFIX + name.upper() for name in Settings.model_fields}
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _anchors(text: str) -> set[str]:
    """As code hosts make them of headings: lower case, hyphens for blanks, no punctuation."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_links_lead_somewhere(path: Path) -> None:
    """Every link to a file of the project finds the file, and the heading in it."""
    for target in _LINK.findall(prose(path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = path.parent / file if file else path
        assert there.exists(), target
        assert not anchor or anchor in _anchors(there.read_text(encoding="utf-8")), target


def test_every_document_is_linked() -> None:
    """The README leads to all of docs/."""
    linked = set(_LINK.findall(read("README.md")))
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= linked


def test_settings_that_are_named_exist() -> None:
    """Whatever a person copies out of a document or a file of settings is understood."""
    others = ("compose.yaml", ".env.example", "Dockerfile", "Makefile")
    playbook = (ROOT / "ansible").rglob("*.yml")
    for path in (*DOCUMENTS, *(ROOT / name for name in others), *playbook):
        named = re.findall(r"\bIRONWAKE_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8"))
        assert set(named) <= SETTINGS, path


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_ports_that_are_named_are_the_defaults(path: Path) -> None:
    """A firewall that is opened by the documents is opened for the right ports."""
    text, settings = path.read_text(encoding="utf-8"), read_settings({})
    ours = {value for name, value in settings.model_dump().items() if name.endswith("_port")}
    api = int(settings.controller_listen.partition(":")[2])
    assert {int(number) for number in re.findall(r"127\.0\.0\.1:(\d+)", text)} <= {api}
    discard, dhcp_client = 9, 68
    named = {int(number) for number in re.findall(r"\bports? (\d+)", text)}
    assert named <= ours | {api, discard, dhcp_client}


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_modules_that_are_named_exist(path: Path) -> None:
    """`ironwake_dhcp.offer` in a document is a file, so that whoever looks finds the code."""
    modules = {file.stem if file.stem != "__init__" else file.parent.name for file in python()}
    packages = {file.parent.name for file in python()}
    for word in re.findall(r"`(ironwake(?:_[a-z]+)?(?:\.[a-z_]+)+)`", path.read_text("utf-8")):
        package, *inside = word.split(".")
        assert package in packages, word
        assert inside[0] in modules | packages, word


def test_the_life_of_a_deployment_is_the_table() -> None:
    """docs/next-boot.md has what the table says: run `make docs` after a change."""
    text = read("docs", "next-boot.md")
    assert renewed(text, lifecycle.document()) == text
    assert lifecycle.document() in text


def test_the_firmware_document_is_current() -> None:
    """docs/firmware.md is what the tables say: run `make docs` after a change."""
    text = read("docs", "firmware.md")
    assert renewed(text, firmware.document()) == text
    assert firmware.document() in text


def test_the_api_document_has_every_route(appliance: Appliance) -> None:
    """No public route is missing in docs/api.md, and none is there that does not exist."""
    told = {row[0].strip("`") for row in rows(read("docs", "api.md"), "## Routes")}
    there = {f"{method} {path}" for method, path in app.every_route(app.routes(appliance.house))}
    assert told == {route for route in there if "/internal" not in route}


def test_the_api_document_has_every_field(appliance: Appliance) -> None:
    """What a call takes, in its body or behind the question mark, is named in its row."""
    text, schema = read("docs", "api.md"), app.routes(appliance.house).openapi()
    told = {
        row[0].strip("`"): set(re.findall(r"`(\w+)[^`]*`", row[1]))
        for row in rows(text, "## Routes")
    }
    told["PATCH /v1/machines/{name}"] |= told["POST /v1/machines"]  # as that row says
    deploy = "POST /v1/machines/{name}/deploy"
    told[deploy] = {row[0].strip("`") for row in rows(text, "## A deployment, with curl")}
    assert told[deploy] == _taken(schema, deploy)
    for call, fields in told.items():
        assert _taken(schema, call) <= fields, call


def _taken(schema: dict[str, Any], call: str) -> set[str]:
    """The names in a call's body and query, as OpenAPI has them."""
    method, path = call.split()
    operation = schema["paths"][path][method.lower()]
    queries = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
    body = json.dumps(operation.get("requestBody", {}))
    shapes = [schema["components"]["schemas"][name] for name in re.findall(r"schemas/(\w+)", body)]
    return queries.union(*(shape["properties"] for shape in shapes))


def test_the_design_has_every_route_of_our_services(appliance: Appliance) -> None:
    """The internal API and the LAN side stand in docs/design.md."""
    design = read("docs", "design.md")
    (heading,) = re.findall(r"^### The internal API.*$", design, re.MULTILINE)
    told = {re.sub(r"[`?].*", "", row[0].strip("`")) for row in rows(design, heading)}
    there = {f"{method} {path}" for method, path in app.every_route(app.routes(appliance.house))}
    assert told == {route for route in there if "/internal" in route}
    lan = " ".join(row[0] for row in rows(design, "### The LAN side (http service)"))
    for route in ROUTES:
        assert route.pattern.partition("{")[0] in lan, route.pattern


def test_the_profiles_document_has_every_field_and_release() -> None:
    """Field by field and row by row, nothing is missing or made up."""
    text = read("docs", "profiles.md")
    told = [row[0].strip("`") for row in rows(text, "## Fields")]
    assert told == list(_fields(profiles.Profile))
    told = [row[0].strip("`") for row in rows(text, "## Parameters")]
    assert told == [field.name for field in dataclasses.fields(Parameters)]
    assert [row[0].strip("`") for row in rows(text, "## Releases")] == list(release.built_in())


def _fields(kind: Any, prefix: str = "") -> list[str]:
    inner = {profiles.Disk}
    found = []
    for field in dataclasses.fields(kind):
        hint = get_type_hints(kind)[field.name]
        below = next((one for one in inner if hint in (one, one | None)), None)
        name = f"{prefix}{field.name}"
        found += _fields(below, f"{name}.") if below else [name]
    return found


def test_profiles_that_are_shown_are_profiles() -> None:
    """Every example, and every file of profiles/, is understood."""
    shown = [body for kind, body in blocks(read("docs", "profiles.md")) if kind == "yaml"]
    assert shown
    for text in (*shown, *(path.read_text() for path in (ROOT / "profiles").glob("*.yaml"))):
        yamlfile.parse(Profile, text.encode())


def test_the_lab_document_has_every_firmware() -> None:
    """Whoever picks one from docs/lab.md, or from the command's help, gets it."""
    told = [row[0].strip("`") for row in rows(read("docs", "lab.md"), "`--firmware` is one of:")]
    assert told == list(FIRMWARE)
    help_text = read("cli", "ironwake_cli", "lab.py")
    assert all(name in help_text for name in FIRMWARE)


def test_the_lab_documents_example_imports_what_exists() -> None:
    """Its code is Python, and what it imports is there."""
    for kind, body in blocks(read("docs", "lab.md")):
        if kind == "python":
            tree = ast.parse(body)
            froms = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
            assert froms
            for node in froms:
                module = importlib.import_module(str(node.module))
                assert all(hasattr(module, alias.name) for alias in node.names)
