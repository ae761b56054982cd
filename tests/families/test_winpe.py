"""The program that Windows PE runs, carried out: JScript is JavaScript's third edition, and older
than all that runs it here, with Windows' objects played by `pe_rig.js`.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ironwake.families.windows import winpe

URL = "http://10.77.0.2/deployments/ab/"
TREE = "http://10.77.0.2/media/ee/"
GIB = 1 << 30
PNP = '<component name="Microsoft-Windows-PnpCustomizationsWinPE" x="y">\n<a/></component>'
XML = f"{PNP}<DiskID>ironwake-disk</DiskID><PartitionID>ironwake-partition</PartitionID>"
ORDER: dict[str, Any] = {
    "disk": {"serial": "", "pick": "", "nvme": False, "least": 0, "most": 0, "room": 64 * GIB},
    "erase": ["WD-0", "WD-1"],
    "staging": 12288,
    "images": [f"{TREE}sources/install.wim", f"{TREE}sources/install.esd"],
    "share": None,
    "pre": "",
    "callbacks": f"{URL}callbacks",
}


def _disk(number: int = 0, gib: int = 100, **more: Any) -> dict[str, Any]:
    usual = {
        "Index": number,
        "Size": str(gib * GIB),
        "SerialNumber": f"WD-{number} ",
        "Partitions": 0,
        "PNPDeviceID": f"SCSI\\DISK&VEN_X\\4&{number}",
    }
    return {**usual, "Model": "Disk", "InterfaceType": "SCSI", "MediaType": "Fixed", **more}


@dataclass
class Rig:
    """What the machine is, and what it finds."""

    order: dict[str, Any] = field(default_factory=lambda: dict(ORDER))
    disks: list[dict[str, Any]] = field(default_factory=lambda: [_disk()])
    firmware: int = 2
    curl: bool = True
    codes: dict[str, int] = field(default_factory=dict)
    served: dict[str, str] = field(default_factory=dict)
    devices: list[dict[str, str]] = field(default_factory=list)
    unpacked: dict[str, str] = field(default_factory=dict)
    drivers: str = ""

    def run(self) -> tuple[list[str], dict[str, str]]:
        """What the program did, and all files as they were then."""
        files = {"X:\\setup.exe": "", "X:\\Windows\\Panther\\setuperr.log": "the last words"}
        if self.curl:
            files["X:\\Windows\\System32\\curl.exe"] = ""
        served = {
            f"{URL}answers/order.json": winpe.order(self.order),
            f"{URL}answers/autounattend.xml": XML,
            f"{TREE}sources/install.wim": "WIM",
        }
        rig = {
            "program": winpe.texts(f"{URL}answers/", self.drivers)[winpe.PROGRAM],
            "disks": self.disks,
            "firmware": self.firmware,
            "codes": self.codes,
            "served": served | self.served,
            "devices": self.devices,
            "unpacked": self.unpacked,
            "files": files,
        }
        program = Path(__file__).with_name("pe_rig.js")
        done = subprocess.run(
            ["node", program], input=json.dumps(rig), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        return found["traces"], found["files"]


def _told(traces: list[str]) -> list[str]:
    """The reports' queries, in their order."""
    return re.findall(r"callbacks\?(\S+?)(?:\"|$)", "\n".join(traces), re.MULTILINE)


def test_a_blank_disk_is_divided_and_set_up_runs() -> None:
    """UEFI: ESP, MSR, Windows, and room for the image; the answer file gets the numbers."""
    traces, files = Rig().run()
    divide = files["X:\\divide.txt"]
    assert divide.startswith("select disk 0\r\nclean\r\nconvert gpt\r\ncreate partition efi")
    assert "shrink desired=12288" in divide
    assert files["X:\\unattend.xml"] == "<DiskID>0</DiskID><PartitionID>3</PartitionID>"
    (setup,) = [line for line in traces if "setup.exe" in line]
    assert setup == (
        '"X:\\setup.exe" /unattend:X:\\unattend.xml /installfrom:I:\\install.wim /noreboot'
    )
    steps = [line.partition("&id=")[2].partition("&")[0] for line in _told(traces)]
    assert steps == ["early", "disk", "fetch", "setup", "restart"]
    assert "wpeutil.exe reboot" in traces[-1]


def test_both_answers_are_fetched_before_the_first_report() -> None:
    """A report closes the claim: what is asked for after it is gone."""
    traces, _ = Rig().run()
    first = next(place for place, line in enumerate(traces) if "callbacks" in line)
    asked = "\n".join(traces[:first])
    assert "order.json" in asked
    assert "autounattend.xml" in asked


def test_a_bios_machine_gets_a_table_of_its_kind() -> None:
    """Windows is the second partition there."""
    traces, files = Rig(firmware=1).run()
    assert "convert mbr" in files["X:\\divide.txt"]
    assert files["X:\\unattend.xml"].endswith("<PartitionID>2</PartitionID>")
    assert traces


@pytest.mark.parametrize(
    ("parts", "seen"),
    [(0, "sees%20nothing%20but%20partitions"), (1, "partitions%20are%20on%20it")],
    ids=["raw", "parts"],
)
@pytest.mark.parametrize("erase", [[], ["WD-1"], [""]], ids=["none", "another", "empty"])
def test_a_disk_that_nobody_named_is_left_alone(parts: int, seen: str, erase: list[str]) -> None:
    """One without a partition table, too: a file system may stand on it whole, and Windows PE has
    nothing to see it by. What is said names the disk, and the way out.
    """
    order = {**ORDER, "erase": erase}
    traces, files = Rig(order=order, disks=[_disk(Partitions=parts)]).run()
    assert "X:\\divide.txt" not in files
    assert not [line for line in traces if "setup.exe" in line or "diskpart" in line]
    last = _told(traces)[-1]
    assert last.startswith("stage=failed&step=&id=guard")
    assert seen in last
    assert last.endswith("--erase%20WD-0")


def test_the_disk_that_is_named_may_be_erased_and_no_other() -> None:
    """The deployment's word counts for this serial number, whatever case Windows gives it."""
    disks = [_disk(Partitions=2)]
    _, files = Rig(order={**ORDER, "erase": ["wd-0"]}, disks=disks).run()
    assert "X:\\divide.txt" in files
    _, files = Rig(order={**ORDER, "erase": ["WD-1"]}, disks=disks).run()
    assert "X:\\divide.txt" not in files


def test_a_disk_without_a_serial_number_has_the_name_that_windows_gives_it() -> None:
    """Virtual disks often have none: the refusal says how else to name it, and that counts."""
    nameless = _disk(SerialNumber=None)
    traces, files = Rig(disks=[nameless]).run()
    assert "X:\\divide.txt" not in files
    assert _told(traces)[-1].endswith("--erase%20%22SCSI%5CDISK%26VEN_X%5C4%260%22")
    name = r"scsi\disk&ven_x\4&0"
    wanted = {**ORDER["disk"], "serial": name}
    _, files = Rig(order={**ORDER, "disk": wanted, "erase": [name]}, disks=[nameless]).run()
    assert files["X:\\divide.txt"].startswith("select disk 0\r\n")


@pytest.mark.parametrize(
    ("disks", "wanted", "number"),
    [
        ([_disk(0), _disk(1)], {"serial": "wd-1"}, 1),
        ([_disk(0, 100, InterfaceType="USB"), _disk(1)], {}, 1),
        ([_disk(0, 100, MediaType="Removable Media"), _disk(1)], {}, 1),
        ([_disk(0, 900), _disk(1, 500)], {"pick": "smallest"}, 1),
        ([_disk(0, 900), _disk(1, 500)], {"pick": "largest"}, 0),
        ([_disk(0), _disk(1, PNPDeviceID=r"SCSI\DISK&VEN_NVME")], {"nvme": True}, 1),
        ([_disk(0, 100), _disk(1, 500)], {"least": 400 * GIB}, 1),
        ([_disk(0), _disk(1)], {}, None),
        ([_disk(0)], {"serial": "other"}, None),
        ([], {}, None),
        ([_disk(0, 40)], {}, None),
    ],
)
def test_the_disk_is_the_one_that_is_meant(
    disks: list[dict[str, Any]], wanted: dict[str, Any], number: int | None
) -> None:
    """The same rules as everywhere: the only one that is fit, or the one that is named."""
    order = {**ORDER, "disk": {**ORDER["disk"], **wanted}}
    traces, files = Rig(order=order, disks=disks).run()
    if number is None:
        assert "X:\\divide.txt" not in files
        assert "stage=failed" in _told(traces)[-1]
    else:
        assert files["X:\\divide.txt"].startswith(f"select disk {number}\r\n")


def test_without_curl_small_texts_still_go_and_the_image_is_asked_of_a_share() -> None:
    """Windows PE has it in newer versions only; a share needs none."""
    traces, _ = Rig(curl=False).run()
    assert any(line.startswith("POST ") for line in traces)
    assert "no%20curl.exe" in _told(traces)[-1]
    share = {"path": r"\\192.0.2.5\win", "user": "u", "password": "p"}
    rig = Rig(order={**ORDER, "share": share, "staging": 0}, curl=False)
    rig.served = {}
    traces, files = rig.run()
    assert 'net.exe use Z: "\\\\192.0.2.5\\win" /user:"u" "p"' in "\n".join(traces)
    assert "none%20of%20these%20is%20there" in _told(traces)[-1]
    assert "IRONWAKE" not in files["X:\\divide.txt"]


def test_only_drivers_of_this_machine_are_taken() -> None:
    """By vendor and device of its PCI functions; INF files come in two encodings."""
    wide = "".join(f"{letter}\0" for letter in r"%x% = y, PCI\VEN_1AF4&DEV_1000&SUBSYS_1")
    rig = Rig(
        drivers="http://10.77.0.2/drivers.wim",
        served={"http://10.77.0.2/drivers.wim": "WIM"},
        devices=[
            {"DeviceID": r"PCI\VEN_8086&DEV_15B8&SUBSYS_00008086&REV_31\3&11583659&0&FE"},
            {"DeviceID": r"PCI\VEN_1AF4&DEV_1000&SUBSYS_00011AF4\1"},
        ],
        unpacked={
            "I:\\all\\net\\e1d.inf": r"%E15B8% = E1, pci\ven_8086&dev_15b8",
            "I:\\all\\net\\other.inf": r"%X% = X, PCI\VEN_8086&DEV_0001",
            "I:\\all\\virtio\\netkvm\\netkvm.inf": f"\xff\xfe{wide}",
        },
    )
    traces, files = rig.run()
    loaded = [line for line in traces if "drvload" in line]
    assert len(loaded) == 2
    assert "e1d.inf" in loaded[0]
    assert "netkvm.inf" in loaded[1]
    assert "copy I:\\all\\net I:\\drivers\\0" in traces
    assert "PnpCustomizationsWinPE" in files["X:\\unattend.xml"]


def test_a_failing_set_up_is_told_with_its_last_words() -> None:
    """It is Windows' own log that says why."""
    traces, _ = Rig(codes={"setup.exe": 31}).run()
    last = _told(traces)[-1]
    assert last.startswith("stage=failed")
    assert "code%2031" in last
    assert "the%20last%20words" in last


def test_the_script_pre_runs_before_anything_is_written() -> None:
    """And what it refuses, stays."""
    order = {**ORDER, "pre": "echo one\nexit 1\n"}
    traces, files = Rig(order=order, codes={"pre.cmd": 1}).run()
    assert files["X:\\pre.cmd"] == "echo one\r\nexit 1\r\n"
    assert "X:\\divide.txt" not in files
    assert "the%20script%20pre%20failed" in _told(traces)[-1]


def test_windows_files_end_their_lines_as_windows_does() -> None:
    """And nothing of a deployment stands in them but where its answers are."""
    texts = winpe.texts(f"{URL}answers/", "")
    assert set(texts) == {"winpeshl.ini", "startnet.cmd", "ironwake.js"}
    for text in texts.values():
        assert "\r\n" in text
        assert not re.search(r"(?<!\r)\n", text)
    assert "startnet.cmd" in texts["winpeshl.ini"]
    assert "ironwake.js" in texts["startnet.cmd"]
