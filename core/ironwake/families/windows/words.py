"""What Windows calls a locale, a keyboard, a time zone and a machine."""

from __future__ import annotations

import re

from ironwake.errors import InputError
from ironwake.families.windows.zones import ZONES

_LOCALE = re.compile(r"([a-z]{2,3})_([A-Z]{2})(?:\.[A-Za-z0-9-]+)?(?:@([a-z]+))?", re.ASCII)
_NOBODYS = re.compile(r"(?:C|POSIX)(?:\.[A-Za-z0-9-]+)?", re.ASCII)
_SCRIPTS = {"latin": "Latn", "cyrillic": "Cyrl"}
# Languages that Windows knows by their script only.
_WRITTEN = {"az": "Latn", "bs": "Latn", "sr": "Cyrl", "uz": "Latn"}

# XKB's layouts to Windows' (KLID); an input locale is the language, a colon, and this. Of Microsoft
# Learn, "Default input profiles (input locales) in Windows".
KEYBOARDS: dict[str, str] = {
    "al": "0000041c",
    "am": "0000042b",
    "ara": "00000401",
    "az": "0000042c",
    "ba": "0000141a",
    "be": "00000813",
    "bg": "00030402",
    "br": "00000416",
    "by": "00000423",
    "ca": "00011009",
    "ch": "00000807",
    "cn": "00000804",
    "cz": "00000405",
    "de": "00000407",
    "dk": "00000406",
    "ee": "00000425",
    "es": "0000040a",
    "fi": "0000040b",
    "fr": "0000040c",
    "gb": "00000809",
    "ge": "00000437",
    "gr": "00000408",
    "hr": "0000041a",
    "hu": "0000040e",
    "ie": "00001809",
    "il": "0000040d",
    "in": "00004009",
    "ir": "00000429",
    "is": "0000040f",
    "it": "00000410",
    "jp": "00000411",
    "kr": "00000412",
    "kz": "0000043f",
    "latam": "0000080a",
    "lt": "00010427",
    "lv": "00020426",
    "mk": "0000042f",
    "mt": "0000043a",
    "nl": "00000413",
    "no": "00000414",
    "pl": "00000415",
    "pt": "00000816",
    "ro": "00010418",
    "rs": "00000c1a",
    "ru": "00000419",
    "se": "0000041d",
    "si": "00000424",
    "sk": "0000041b",
    "th": "0000041e",
    "tr": "0000041f",
    "tw": "00000404",
    "ua": "00020422",
    "us": "00000409",
    "vn": "0000042a",
}
_LONGEST_NAME = 15  # of a computer: NetBIOS has 16 octets, the last one being its own
# Accounts that are there already, or that set-up refuses.
_TAKEN = frozenset(
    (
        "administrator",
        "defaultaccount",
        "defaultuser0",
        "guest",
        "none",
        "system",
        "wdagutilityaccount",
    )
)


def locale(posix: str) -> str:
    """`de_DE.UTF-8` as `de-DE`; `C.UTF-8` is American English, Windows' own default."""
    if _NOBODYS.fullmatch(posix):
        return "en-US"
    found = _LOCALE.fullmatch(posix)
    modifier = found[3] if found else None
    if found is None or (modifier and modifier not in ("euro", "valencia", *_SCRIPTS)):
        raise InputError(
            f"Windows has no name for the locale {posix!r:.40}",
            "write language and country, as in de_DE.UTF-8",
            "locale",
        )
    language, country = found[1], found[2]
    script = _SCRIPTS.get(modifier or "", _WRITTEN.get(language, ""))
    variant = "valencia" if modifier == "valencia" else ""
    return "-".join(filter(None, (language, script, country, variant)))


def keyboard(xkb: str) -> str:
    """`de` as `0407:00000407`."""
    try:
        return f"{KEYBOARDS[xkb][4:]}:{KEYBOARDS[xkb]}"
    except KeyError:
        raise InputError(
            f"we have no name of Windows for the keyboard {xkb}",
            f"take one of: {', '.join(KEYBOARDS)}",
            "keyboard",
        ) from None


def zone(iana: str) -> str:
    """`Europe/Berlin` as `W. Europe Standard Time`."""
    try:
        return ZONES[iana]
    except KeyError:
        raise InputError(
            f"Windows has no time zone for {iana!r:.60}",
            "write it as in Europe/Berlin",
            "timezone",
        ) from None


def computer_name(hostname: str) -> str:
    """The machine's name, where Windows takes it as it is."""
    if len(hostname) > _LONGEST_NAME:
        raise InputError(
            f"Windows takes {_LONGEST_NAME} characters as a computer's name, and {hostname} has"
            f" {len(hostname)}",
            "give a shorter hostname in the machine's parameters",
            "hostname",
        )
    if hostname.isdigit():
        raise InputError(
            f"Windows takes no computer's name of digits alone, as {hostname} is",
            "give another hostname in the machine's parameters",
            "hostname",
        )
    return hostname


def check_account(name: str, hostname: str, where: str) -> None:
    """InputError where Windows has no room for an account of this name."""
    if len(name) > 20 or name in _TAKEN or name == hostname:
        raise InputError(
            f"Windows takes no account {name!r:.40}",
            "use 20 characters at most; no name of its own accounts, nor the computer's",
            where,
        )
