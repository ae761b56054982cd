"""BMCs to hold: real emulators of Redfish and IPMI that switch a machine of the test on and off.

The machine is one of a rack, or a `Plug`, which only knows whether it is on.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bcrypt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sushy_tools.emulator import main as emulator
from sushy_tools.emulator.resources.systems.base import AbstractSystemsDriver
from werkzeug.serving import make_server

from ironwake_testing.switched import Switched

USER, PASSWORD = "operator", "canary-5f1e&x y"
_SUPPORT = Path(__file__).parents[1]


class Systems(AbstractSystemsDriver):  # type: ignore[misc]
    """sushy-tools' view of our machines; `boots` is what each boot was told to be from."""

    def __init__(self, machines: tuple[Switched, ...]) -> None:
        self._machines = {f"0000000{n}": machine for n, machine in enumerate(machines)}
        self._once: dict[str, str] = {}
        self.boots: list[str] = []

    @property
    def driver(self) -> str:
        return "<rack>"

    @property
    def systems(self) -> list[str]:
        return list(self._machines)

    def uuid(self, identity: str) -> str:
        if identity not in self._machines:
            raise emulator.error.NotFound(f"there is no system {identity}")
        return identity

    def name(self, identity: str) -> str:
        return self._machines[self.uuid(identity)].name

    def get_power_state(self, identity: str) -> str:
        return "On" if self._machines[self.uuid(identity)].is_on else "Off"

    def set_power_state(self, identity: str, state: str) -> None:
        machine = self._machines[self.uuid(identity)]
        if state in ("ForceOff", "ForceRestart"):
            machine.power_off()
        if state in ("On", "ForceOn", "ForceRestart"):
            self.boots.append(self._once.pop(identity, "Hdd"))
            if self.boots[-1] == "Pxe":
                machine.boot_once_from_network()
            machine.power_on()

    def get_boot_device(self, identity: str) -> str:
        return self._once.get(self.uuid(identity), "Hdd")

    def set_boot_device(self, identity: str, boot_source: str) -> None:
        self._once[self.uuid(identity)] = boot_source

    def get_boot_mode(self, identity: str) -> str:
        self.uuid(identity)
        return "UEFI"

    def get_http_boot_uri(self, identity: str) -> str:
        self.uuid(identity)
        return ""


class _Emulator(emulator.Application):  # type: ignore[misc]
    """The emulator has a fixed choice of what it switches; this one switches ours."""

    @property
    def systems(self) -> Systems:
        found: Systems = self.config["IRONWAKE_SYSTEMS"]
        return found


@dataclass(frozen=True)
class RedfishBmc:
    """`url` is where it answers; `ca` signed its certificate, where it speaks HTTPS."""

    url: str
    systems: Systems
    ca: str = ""


@contextlib.contextmanager
def redfish(folder: Path, *machines: Switched, tls: bool = True) -> Iterator[RedfishBmc]:
    """sushy-tools' emulator on a free port of the loopback interface. One at a time."""
    systems = Systems(machines)
    accounts = folder / "accounts"
    digest = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    accounts.write_text(f"{USER}:{digest}\n")
    app = emulator.app
    app.__class__ = _Emulator
    app._cache = {}
    app.config["IRONWAKE_SYSTEMS"] = systems
    app.config["SUSHY_EMULATOR_FEATURE_SET"] = "minimum"
    plain = app.wsgi_app
    guarded = emulator.RedfishAuthMiddleware(plain, str(accounts))
    certificate = Certificate.make(folder) if tls else None
    server = make_server(
        "127.0.0.1",
        0,
        guarded,
        threaded=True,
        ssl_context=certificate.context() if certificate else None,
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        scheme = "https" if tls else "http"
        url = f"{scheme}://127.0.0.1:{server.server_port}"
        yield RedfishBmc(url, systems, certificate.pem if certificate else "")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Certificate:
    """Signed by itself, for 127.0.0.1: its own authority."""

    pem: str
    file: Path
    key_file: Path

    @classmethod
    def make(cls, folder: Path) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a BMC")])
        now = datetime.datetime.now(datetime.UTC)
        loopback = x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        built = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        file, key_file = folder / "bmc.pem", folder / "bmc.key"
        pem = built.public_bytes(serialization.Encoding.PEM)
        file.write_bytes(pem)
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return cls(pem.decode(), file, key_file)

    def context(self) -> ssl.SSLContext:
        """For a server."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.file, self.key_file)
        return made


@dataclass
class IpmiBmc:
    """A process with pyghmi's own BMC; `deeds` is what it was told, oldest first."""

    port: int
    _log: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def deeds(self) -> list[str]:
        return self._log.read_text().split()


@contextlib.contextmanager
def ipmi(folder: Path, *rack_and_machine: str) -> Iterator[IpmiBmc]:
    """On a free port of the loopback interface; without a rack's folder and a name, for a plug."""
    log = folder / "ipmi.log"
    log.touch()
    words = [sys.executable, "-m", "ironwake_testing.ipmi_bmc", str(log), USER, PASSWORD]
    environ = {**os.environ, "PYTHONPATH": str(_SUPPORT)}
    with subprocess.Popen(
        [*words, *rack_and_machine], stdout=subprocess.PIPE, text=True, env=environ
    ) as process:
        assert process.stdout is not None
        try:
            yield IpmiBmc(int(process.stdout.readline()), log)
        finally:
            process.kill()
