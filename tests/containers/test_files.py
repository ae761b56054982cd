"""compose.yaml, Dockerfile and .env.example: what they promise, read from the files themselves."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ironwake_runtime.settings import PREFIX, Settings, read

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
KNOWN = {PREFIX + name.upper() for name in Settings.model_fields}
# Where things are in a container, and that the API is on loopback: no person's choice there.
IMAGES_OWN = {
    PREFIX + name
    for name in (
        "STATE_DIR",
        "EPOCH_DIR",
        "ARTIFACTS_DIR",
        "CAPTURES_DIR",
        "SECRETS_DIR",
        "PROFILES_DIR",
        "PARAMETERS_DIR",
        "CATALOGUE_DIR",
        "ISO_DIR",
        "CACHE_DIR",
        "PACKAGES_DIR",
        "CONTROLLER_LISTEN",
        "CONTROLLER_URL",
    )
}
# What each may do beyond an ordinary process. From root to uid 10001 takes SETUID and SETGID.
_CHANGE_USER = {"SETUID", "SETGID"}
ALLOWED = {
    "preflight": {"NET_BIND_SERVICE"} | _CHANGE_USER,
    "controller": set(),
    "dhcp": {"NET_BIND_SERVICE", "NET_RAW"} | _CHANGE_USER,
    "tftp": {"NET_BIND_SERVICE", "NET_RAW"} | _CHANGE_USER,
    "dns": {"NET_BIND_SERVICE"} | _CHANGE_USER,
    "http": {"NET_BIND_SERVICE"} | _CHANGE_USER,
    "packages": set(),
    "media": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP", "SYS_CHROOT"}
    | _CHANGE_USER,
}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_do_only_what_it_must(name: str) -> None:
    """No privilege, no Docker socket, no new privileges, a read-only root, counted capabilities."""
    service = SERVICES[name]
    for word in ("privileged", "devices", "pid", "ipc", "userns_mode", "volumes_from"):
        assert word not in service
    assert service["cap_drop"] == ["ALL"]
    assert set(service.get("cap_add", ())) == ALLOWED[name]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True


def test_the_socket_of_docker_is_nowhere() -> None:
    """Not even in a comment that somebody could take for advice."""
    assert "docker.sock" not in COMPOSE + DOCKERFILE


def test_the_api_is_on_loopback_only() -> None:
    """No container publishes a port or moves the controller's, which listens on 127.0.0.1."""
    assert not [name for name, service in SERVICES.items() if "ports" in service]
    assert read({}).controller_listen.startswith("127.0.0.1:")
    assert "CONTROLLER_LISTEN" not in COMPOSE + DOCKERFILE


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_set_is_a_setting(name: str) -> None:
    """A name that no service knows would keep all of them from starting."""
    given = set(SERVICES[name].get("environment", ()))
    assert given <= KNOWN


# What the builder's container runs.
_MEDIA = [
    ROOT / "cli/ironwake_cli" / f"{name}.py"
    for name in ("media", "image", "image_capture", "bundle")
]


def _reads(name: str) -> set[str]:
    """The settings that a service's code names, or what it takes from the runtime does."""
    own = (ROOT / "services").glob(f"*/ironwake_{name}/**/*.py")
    runtime = ROOT / "core" / "ironwake_runtime"
    known = {"media": _MEDIA, "packages": [runtime / "packageserver.py"]}
    files = known.get(name, [*own])
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    taken: set[str] = set()
    while fresh := _runtime(text) - taken:
        taken |= fresh
        folder = ROOT / "core" / "ironwake_runtime"
        text += "\n".join((folder / f"{one}.py").read_text(encoding="utf-8") for one in fresh)
    named = set(re.findall(r"\bsettings\.(\w+)", text))
    for name, value in vars(Settings).items():
        if name in named and isinstance(value, property):
            named |= set(re.findall(r"\bself\.(\w+)", inspect.getsource(value.fget)))  # type: ignore[arg-type]
    return {PREFIX + name.upper() for name in named} & KNOWN


def _runtime(text: str) -> set[str]:
    """Which modules of the runtime are imported."""
    steps = [one for one in ast.walk(ast.parse(text)) if isinstance(one, ast.ImportFrom)]
    whole = [one.names for one in steps if one.module == "ironwake_runtime"]
    modules = (one.module or "" for one in steps)
    parts = (one.split(".")[1] for one in modules if one.startswith("ironwake_runtime."))
    return {*parts, *(name.name for names in whole for name in names)}


def test_every_setting_reaches_its_service() -> None:
    """What a person writes into `.env` is given to each service that reads it, files mounted."""
    reached = set()
    for name in set(SERVICES) - {"preflight"}:
        given, mounts = SERVICES[name]["environment"], SERVICES[name]["volumes"]
        wanted = _reads(name) - IMAGES_OWN
        assert wanted <= set(given), name
        for setting in wanted:
            # A path on the host is none in the container: that gets the place of a mount.
            host, _, inside = given[setting].partition(":+")
            assert host.strip("${}").partition(":")[0] == setting
            if inside:
                mounted = [mount.rsplit(":", 2) for mount in mounts if f"{{{setting}:" in mount]
                assert [mount[1] for mount in mounted] == [inside.rstrip("}")]
        reached |= wanted
    assert reached == KNOWN - IMAGES_OWN


# A person's folders: setting → may be written to by these.
_FOLDERS = {
    "PROFILES_DIR": {"media"},
    "PARAMETERS_DIR": {"media"},
    "CATALOGUE_DIR": set[str](),
    "ISO_DIR": set[str](),
}


@pytest.mark.parametrize("setting", _FOLDERS)
def test_a_persons_folder_is_where_it_is_read(setting: str) -> None:
    """Each container that reads one has it mounted in the place that its image names; what a
    bundle brings gets there."""
    name = PREFIX + setting
    (place,) = re.findall(rf"\b{name}=(\S+)", DOCKERFILE)
    for service in set(SERVICES) - {"preflight"}:
        mounts = [one for one in SERVICES[service]["volumes"] if f"{{{name}:" in one]
        assert bool(mounts) == (name in _reads(service)), service
        if mounts:
            writes = service in _FOLDERS[setting]
            assert [one.rsplit("}:", 1)[1] for one in mounts] == [place + ("" if writes else ":ro")]


def test_a_volume_is_its_users_whichever_container_is_first() -> None:
    """What two images share is in both of them, for uid 10001: the first one makes the volume."""
    (base,) = re.findall(r"^FROM \S+ AS service\n(.*?)^FROM ", DOCKERFILE, re.MULTILINE | re.DOTALL)
    ours = " ".join(re.findall(r"install -d -m \d+ -o ironwake -g ironwake ([^&#]*)", base)).split()
    places: dict[str, set[str]] = {}
    images: dict[str, set[str]] = {}
    for service in SERVICES.values():
        for mount in service.get("volumes", ()):
            volume, place, *_ = mount.split(":")
            if re.fullmatch(r"[a-z]+", volume):
                places.setdefault(volume, set()).add(place)
                images.setdefault(volume, set()).add(service["image"])
    shared = {volume for volume, found in images.items() if len(found) > 1}
    assert {"packages", "secrets", "artifacts", "captures"} <= shared
    for volume in shared:
        assert places[volume] <= set(ours), volume


def test_nothing_has_a_port_before_the_ports_were_tried() -> None:
    """The preflight would take a service that is there already for a stranger."""
    first = {"preflight": {"condition": "service_completed_successfully"}}
    after = {"controller": {"condition": "service_healthy"}}
    for name in set(SERVICES) - {"preflight", "media"}:
        assert SERVICES[name]["depends_on"] in (first, after), name
    assert SERVICES["controller"]["depends_on"] == first


def test_what_env_files_say_is_a_setting() -> None:
    """compose.yaml asks `.env` for settings only, and .env.example offers only such."""
    asked = set(re.findall(r"\$\{(\w+)", COMPOSE))
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    offered = set(re.findall(r"^#?(IRONWAKE_\w+)=", example, re.MULTILINE))
    assert asked <= KNOWN
    assert offered <= asked
    assert set(re.findall(r"\bIRONWAKE_\w+(?==)", DOCKERFILE)) <= KNOWN


@pytest.mark.parametrize(("volume", "writer"), [("secrets", "controller"), ("artifacts", "media")])
def test_one_writes_and_the_others_read(volume: str, writer: str) -> None:
    """Tokens are written by the controller alone, artifacts by the builder alone."""
    mounts = {
        name: mount.split(":")
        for name, service in SERVICES.items()
        for mount in service.get("volumes", ())
        if mount.startswith(f"{volume}:")
    }
    assert len(mounts) > 2
    assert [name for name, mount in mounts.items() if mount[-1] != "ro"] == [writer]


def test_each_service_is_a_target() -> None:
    """Every image of compose.yaml is built from a stage of its own."""
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE))
    for service in SERVICES.values():
        assert service["build"]["target"] in stages
        assert service["image"] == f"ironwake/{service['build']['target']}"
        # A registry may hold a stranger's image of this name.
        assert service["pull_policy"] == "never"


def test_an_old_engine_understands_the_dockerfile() -> None:
    """Docker Engine 20.10 without any syntax image: none of what came later."""
    for later in ("# syntax=", "<<EOF", "--link", "start-interval", "--checksum"):
        assert later not in DOCKERFILE


def test_ports_are_told_as_they_are() -> None:
    """docs/design.md, the health checks and the settings name the same ports."""
    settings = read({})
    design = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"^machine ── (.*) ──►", design, re.MULTILINE)
    (api,) = re.findall(r"controller :(\d+)", design)
    assert told.strip() == (
        f"{settings.dhcp_port}/{settings.dhcp_proxy_port} dhcp · {settings.tftp_port} tftp · "
        f"{settings.dns_port} dns · {settings.http_port} http · "
        f"{settings.monitor_port}/{settings.syslog_port} logs · {settings.packages_port} packages"
    )
    assert settings.controller_listen == f"127.0.0.1:{api}"
    # A health check is a list of words, or a line of shell.
    assert set(re.findall(r'probe(?:", "| )([^"\s]+)', DOCKERFILE)) == {
        f"http://127.0.0.1:{api}/readyz",
        f"udp:${{IRONWAKE_DHCP_PORT:-{settings.dhcp_port}}}",
        f"udp:${{IRONWAKE_TFTP_PORT:-{settings.tftp_port}}}",
        f"udp:${{IRONWAKE_DNS_PORT:-{settings.dns_port}}}",
        f"tcp:${{IRONWAKE_HTTP_PORT:-{settings.http_port}}}",
        f"http://127.0.0.1:${{IRONWAKE_PACKAGES_PORT:-{settings.packages_port}}}/healthz",
    }
