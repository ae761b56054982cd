"""Windows: its answer file says what was stated, and nothing else, in the namespaces it has."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake import families
from ironwake.errors import InputError
from ironwake.families.base import Install
from ironwake.families.windows import FAMILY, first_logon, unattend, winpe
from ironwake.families.windows.words import KEYBOARDS, keyboard, locale, zone
from ironwake.families.windows.zones import ZONES
from ironwake.firmware import Architecture
from ironwake.names import HostName, UserName
from ironwake.parameters import User
from ironwake.parameters.network import Device, Kind, Network
from ironwake.release import find
from tests.families import asked

ADMIN = User(UserName("admin"), password="hunter2 <&>")
# What a person can type on one line, whatever it is.
LINE = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=90).filter(
    str.isprintable
)


def _install(
    release: str = "windows-11",
    told: dict[str, Any] | None = None,
    disk: str = "auto",
    erase: tuple[str, ...] = (),
    **parameters: Any,
) -> Install:
    usual = {"users": (ADMIN,), "fragments": {"windows": json.dumps(told)} if told else {}}
    return asked.install(release, erase=erase, match=disk, **(usual | parameters))


def _answers(install: Install) -> Any:
    families.check(FAMILY, install)
    return FAMILY.parse(winpe.ANSWERS, FAMILY.answers(install).files[winpe.ANSWERS])


def _order(install: Install) -> Any:
    return FAMILY.parse(winpe.ORDER, FAMILY.answers(install).files[winpe.ORDER])


def test_every_element_is_of_the_vendors_namespace() -> None:
    """Set-up passes over what is of another one, without a word; and its marks have theirs."""
    text = FAMILY.answers(_install()).files[winpe.ANSWERS]
    root = ElementTree.fromstring(text)  # noqa: S314 (our own)
    assert {element.tag.partition("}")[0] for element in root.iter()} == {
        "{urn:schemas-microsoft-com:unattend"
    }
    marks = {name for element in root.iter() for name in element.attrib if "}" in name}
    state = "{http://schemas.microsoft.com/WMIConfig/2002/State}"
    assert marks == {f"{state}action", f"{state}keyValue"}
    components = root.findall(".//{urn:schemas-microsoft-com:unattend}component")
    assert len(components) >= 5
    for component in components:
        assert component.get("processorArchitecture") == "amd64"
        assert component.get("publicKeyToken") == "31bf3856ad364e35"
    assert text.isascii()


@given(LINE, LINE, LINE)
def test_hostile_text_comes_back_equal_and_makes_no_element(
    password: str, name: str, organization: str
) -> None:
    """Whatever a person's text is, it stands where it belongs, and the keys stay what they are."""
    try:
        user = User(UserName("admin"), password=password, full_name=name)
    except InputError:
        return
    plain = _answers(
        _install(told={"organization": "x"}, users=(dataclasses.replace(user, full_name="y"),))
    )
    answers = _answers(_install(told={"organization": organization}, users=(user,)))
    assert _keys(answers) == _keys(plain)
    oobe = answers["oobeSystem"]["Shell-Setup"]
    (account,) = oobe["UserAccounts"]["LocalAccounts"]["LocalAccount"]
    assert account["DisplayName"] == name
    hidden = base64.b64decode(account["Password"]["Value"]).decode("utf-16-le")
    assert hidden == password + "Password"
    assert answers["specialize"]["Shell-Setup"]["RegisteredOrganization"] == organization


def _keys(data: Any) -> Any:
    """The shape of it, first-logon commands aside: their number goes by their length."""
    if isinstance(data, dict):
        return {name: _keys(value) for name, value in data.items() if name != "FirstLogonCommands"}
    return [_keys(one) for one in data] if isinstance(data, list | tuple) else ""


NODES = st.recursive(
    LINE,
    lambda inner: (
        st.dictionaries(st.sampled_from("ABCdef"), inner, min_size=1, max_size=3)
        | st.lists(
            st.dictionaries(st.sampled_from("XYZ"), LINE, min_size=1), min_size=1, max_size=3
        ).map(lambda items: {"Item": items})
        | st.lists(LINE, min_size=1, max_size=3).map(lambda items: {"Numbered": tuple(items)})
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(("Setup", "Shell-Setup")),
        st.dictionaries(st.sampled_from("ABC"), NODES, min_size=1),
    )
)
def test_data_become_xml_and_the_same_data_again(components: Any) -> None:
    """The writer and the reader agree about all that can be said."""
    passes = {"specialize": components} if components else {}
    assert unattend.parse(unattend.text(passes, Architecture.AMD64)) == passes


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("<unattend/>", "begin with unattend"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><x/>', "document type"),
        ("<unattend", "not XML"),
    ],
)
def test_what_is_no_answer_file_is_refused(raw: str, why: str) -> None:
    """A document type can make a huge document of a small one: none is read."""
    with pytest.raises(InputError, match=why):
        unattend.parse(raw)


def test_names_that_windows_would_cut_are_refused() -> None:
    """A sixteenth character would be lost, and two machines could have one name."""
    long = "a-name-of-16-chr"
    for name in (long, "12345"):
        with pytest.raises(InputError) as caught:
            _answers(_install(hostname=HostName(name)))
        assert caught.value.where == "hostname"
    answers = _answers(_install(hostname=HostName(long[:15])))
    assert answers["specialize"]["Shell-Setup"]["ComputerName"] == long[:15]


@pytest.mark.parametrize(
    ("parameters", "where"),
    [
        ({"users": ()}, "users"),
        (
            {"users": (User(UserName("admin"), password_hash="$6$abc$" + "x" * 40),)},
            "users[0].password",
        ),
        ({"users": (User(UserName("admin"), (asked.KEY,)),)}, "users[0].password"),
        ({"users": (User(UserName("administrator"), password="x"),)}, "users[0].name"),
        ({"users": (User(UserName("a" * 21), password="x"),)}, "users[0].name"),
        ({"users": (User(UserName("node1"), password="x"),)}, "users[0].name"),
        (
            {"users": (User(UserName("a"), password="x", groups=(UserName("wheel"),)),)},
            "users[0].groups",
        ),
        ({"users": (User(UserName("a"), password="x", admin=False),)}, "users"),
        ({"keyboard": "dvorak"}, "keyboard"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"locale": "eo"}, "locale"),
        ({"locale": "de_DE@unknown"}, "locale"),
        ({"packages": ("vim",)}, "packages"),
        ({"kernel_arguments": ("quiet",)}, "kernel_arguments"),
        ({"network": Network((Device("b", Kind.BOND, ("boot",)),))}, "network.devices[0].kind"),
        ({"network": Network((Device("c", dhcp=True, mtu=9000),))}, "network.devices[0].mtu"),
    ],
)
def test_what_windows_cannot_be_told_is_refused_by_its_field(
    parameters: dict[str, Any], where: str
) -> None:
    """Never silently left out."""
    with pytest.raises(InputError) as caught:
        _answers(_install(**parameters))
    assert caught.value.where == where
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ({"product_key": "secret"}, "fragments.windows.product_key"),
        ({"nonsense": 1}, "fragments.windows.nonsense"),
        ({"index": 100}, "fragments.windows.index"),
        ({"ui_language": "german"}, "fragments.windows.ui_language"),
        ({"share": {"path": "//server/share"}}, "fragments.windows.share.path"),
        (
            {"share": {"path": r"\\s\w", "user": "u", "password": 'a"b'}},
            "fragments.windows.share.password",
        ),
        ({"settings": {"auditUser": {}}}, "fragments.windows.settings"),
        ({"settings": {"oobeSystem": {"X": {"a b": "c"}}}}, "fragments.windows.settings"),
        ({"settings": {"oobeSystem": {"X": {"a": 1}}}}, "fragments.windows.settings"),
        ({"settings": {"oobeSystem": {"X": "text"}}}, "fragments.windows.settings"),
    ],
)
def test_a_fragment_that_is_wrong_is_named(told: dict[str, Any], where: str) -> None:
    """By its field; what stands in it may be a secret, and is not repeated."""
    with pytest.raises(InputError) as caught:
        _answers(_install(told=told))
    assert caught.value.where == where
    assert "secret" not in caught.value.what


def test_a_fragment_that_is_no_mapping_is_refused() -> None:
    """It is a mapping in the profile, and JSON on its way."""
    with pytest.raises(InputError, match="no mapping"):
        _answers(_install(fragments={"windows": "<unattend/>"}))


def test_edition_key_and_language_reach_set_up() -> None:
    """The usual edition stands in the release's row; a profile takes another one."""
    usual = _answers(_install())["windowsPE"]["Setup"]
    assert usual["ImageInstall"]["OSImage"]["InstallFrom"]["MetaData"] == [
        {"Key": "/IMAGE/NAME", "Value": find("windows-11").options["image"]}
    ]
    assert "RunSynchronous" not in usual
    told = {
        "index": 3,
        "product_key": "AAAAA-BBBBB-CCCCC-DDDDD-12345",
        "ui_language": "de-DE",
        "bypass_checks": True,
    }
    answers = _answers(
        _install(told=told, locale="de_DE.UTF-8", keyboard="de", timezone="Europe/Berlin")
    )
    setup = answers["windowsPE"]["Setup"]
    assert setup["ImageInstall"]["OSImage"]["InstallFrom"]["MetaData"] == [
        {"Key": "/IMAGE/INDEX", "Value": "3"}
    ]
    assert setup["UserData"]["ProductKey"]["Key"] == told["product_key"]
    assert len(setup["RunSynchronous"]["RunSynchronousCommand"]) == 5
    assert answers["oobeSystem"]["International-Core"] == {
        "InputLocale": "0407:00000407",
        "SystemLocale": "de-DE",
        "UILanguage": "de-DE",
        "UserLocale": "de-DE",
    }
    assert answers["specialize"]["Shell-Setup"]["TimeZone"] == "W. Europe Standard Time"


def test_raw_settings_are_laid_over_ours() -> None:
    """The escape hatch: other values win, other elements and additions come besides."""
    mine = {"Order": "1", "Path": "cmd.exe /c rem"}
    settings = {
        "oobeSystem": {"Shell-Setup": {"OOBE": {"ProtectYourPC": "1", "NetworkLocation": "Work"}}},
        "windowsPE": {"Setup": {"RunSynchronous": {"RunSynchronousCommand": [mine]}}},
    }
    answers = _answers(_install(told={"settings": settings, "bypass_checks": True}))
    welcome = answers["oobeSystem"]["Shell-Setup"]["OOBE"]
    assert welcome["ProtectYourPC"] == "1"
    assert welcome["NetworkLocation"] == "Work"
    assert welcome["HideEULAPage"] == "true"
    commands = answers["windowsPE"]["Setup"]["RunSynchronous"]["RunSynchronousCommand"]
    assert commands[-1] == mine
    assert len(commands) == 6


def test_a_server_gets_an_administrator_whom_nobody_knows() -> None:
    """Its first start asks for that password; each deployment has another one."""
    server = _install("windows-server-2022")
    accounts = _answers(server)["oobeSystem"]["Shell-Setup"]["UserAccounts"]
    other = dataclasses.replace(
        server, urls=dataclasses.replace(server.urls, health="http://10.77.0.2/health/ee")
    )
    again = _answers(other)["oobeSystem"]["Shell-Setup"]["UserAccounts"]
    assert accounts["AdministratorPassword"] != again["AdministratorPassword"]
    client = _answers(_install())["oobeSystem"]["Shell-Setup"]["UserAccounts"]
    assert "AdministratorPassword" not in client


def test_static_addresses_are_by_the_cards_own_number() -> None:
    """Windows' own names of cards depend on the order in which they were found."""
    devices = (
        Device("one", addresses=("192.0.2.7/24", "2001:db8::7/64"), gateway="192.0.2.1"),
        Device("two", of=("52:54:00:77:00:11",), dhcp=True),
    )
    network = Network(devices, ("192.0.2.1",), ())
    specialize = _answers(_install(network=network))["specialize"]
    first, second = specialize["TCPIP"]["Interfaces"]["Interface"]
    assert first["Identifier"] == "52-54-00-77-00-10"
    assert first["UnicastIpAddresses"]["IpAddress"] == ("192.0.2.7/24", "2001:db8::7/64")
    assert first["Routes"]["Route"][0]["NextHopAddress"] == "192.0.2.1"
    assert second == {
        "Identifier": "52-54-00-77-00-11",
        "Ipv4Settings": {"DhcpEnabled": "true"},
    }
    servers = specialize["DNS-Client"]["Interfaces"]["Interface"]
    assert [one["DNSServerSearchOrder"]["IpAddress"] for one in servers] == [("192.0.2.1",)] * 2


def test_the_order_has_the_disk_as_a_person_named_it() -> None:
    """What Windows PE cannot know of a disk is refused before anything starts."""
    assert _order(_install(disk="serial:WD-1"))["disk"]["serial"] == "WD-1"
    assert _order(_install(disk="WD-1", erase=("WD-1",)))["erase"] == ["WD-1"]
    wanted = _order(_install(disk="largest nvme 100GB..2TB"))["disk"]
    assert (wanted["pick"], wanted["nvme"], wanted["least"]) == ("largest", True, 10**11)
    for match in ("/dev/disk/by-path/pci-1", "wwn:5000", "smallest ssd"):
        with pytest.raises(InputError) as caught:
            _answers(_install(disk=match))
        assert caught.value.where == "disk.match"


def test_with_a_share_no_room_is_kept_for_the_image() -> None:
    """Only what is fetched by HTTP needs a partition of its own for a while."""
    order = _order(
        _install(told={"share": {"path": r"\\192.0.2.5\win", "user": "u", "password": "p"}})
    )
    assert order["staging"] == 0
    assert order["share"]["path"] == r"\\192.0.2.5\win"
    assert _order(_install())["images"][0].endswith("/sources/install.wim")
    assert _order(_install())["staging"] > 8000


def test_the_first_logons_program_survives_the_limits_of_commands() -> None:
    """1024 characters each, joined again to the same text, whatever the person's script is."""
    post = "Write-Host 'it''s “this” & 100%'\n" * 300
    data = {"post": post, "keys": [asked.KEY], "callbacks": "http://10.0.0.1/x"}
    *pieces, last = first_logon.commands(data)
    assert all(len(piece) < 1024 for piece in (*pieces, last))
    assert first_logon.parse((*pieces, last)) == data
    for wrong in (pieces, (*pieces[1:], last), (*pieces, "format C:"), ()):
        with pytest.raises(InputError):
            first_logon.parse(wrong)


@pytest.mark.parametrize(
    ("posix", "windows"),
    [
        ("C.UTF-8", "en-US"),
        ("de_AT.UTF-8", "de-AT"),
        ("sr_RS@latin", "sr-Latn-RS"),
        ("sr_RS.UTF-8", "sr-Cyrl-RS"),
        ("ca_ES.UTF-8@valencia", "ca-ES-valencia"),
        ("fr_FR@euro", "fr-FR"),
    ],
)
def test_locales_have_windows_names(posix: str, windows: str) -> None:
    """Language, script where one needs it, and country."""
    assert locale(posix) == windows


def test_zones_and_keyboards_are_as_windows_has_them() -> None:
    """A few that everybody knows; all of the table are in the same shape."""
    assert zone("Etc/UTC") == "UTC"
    assert zone("America/Vancouver") == "Pacific Standard Time"
    assert zone("Asia/Kolkata") == zone("Asia/Calcutta") == "India Standard Time"
    assert len(ZONES) > 400
    assert keyboard("us") == "0409:00000409"
    assert {len(keyboard(name)) for name in KEYBOARDS} == {13}
