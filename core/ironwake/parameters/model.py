"""The parameters that every family understands, settled: each has a value."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from urllib.parse import urlsplit

from ironwake.errors import InputError
from ironwake.names import DomainName, HostName, KernelWord, UserName
from ironwake.parameters.network import Network

_HASH = re.compile(r"\$(?:5|6|y|2b)\$[./A-Za-z0-9$=,]{20,200}", re.ASCII)
_KEY = re.compile(
    r"(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp\d+|sk-[a-z0-9@.-]+) [A-Za-z0-9+/=]{16,}( [^\n\r]*)?"
)
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,2}", re.ASCII)
_LOCALE = re.compile(r"[A-Za-z]{1,8}(?:_[A-Z]{2})?(?:\.[A-Za-z0-9-]+)?(?:@[a-z]+)?", re.ASCII)
_KEYBOARD = re.compile(r"[a-z][a-z0-9_-]{0,30}", re.ASCII)
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._:-]{0,127}", re.ASCII)
_GROUP = re.compile(r"[A-Za-z0-9@^][A-Za-z0-9 +._@^-]{0,127}", re.ASCII)
_SERVER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)
_TEMPLATE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_LONGEST_SCRIPT = 32 << 10  # octets
_LONGEST_KEY = 16 << 10
_LONGEST_ARGUMENTS = 1500  # characters; a kernel takes 2047 of all, its root among them


# Shown in the place of one; it can stand in any format, and in a URL.
SECRET_WORD = "SECRET"  # noqa: S105 (no password)
_SECRET_HASH = f"$6${SECRET_WORD}${SECRET_WORD * 8}"


class Security(StrEnum):
    """What becomes of the system's mandatory access control (SELinux, AppArmor)."""

    DEFAULT = "default"  # as the system has it
    ENFORCING = "enforcing"
    PERMISSIVE = "permissive"
    DISABLED = "disabled"


class RootPolicy(StrEnum):
    """Who may be root."""

    LOCKED = "locked"  # nobody logs in as root
    KEYS = "keys"  # by `root_keys`, with SSH
    PASSWORD = "password"  # by `root_password_hash`, on the console  # noqa: S105 (no password)


@dataclass(frozen=True)
class User:
    """An account: sudo without a password where `admin`, login by these keys.

    `password_hash` is crypt(5) text (`$6$…`, `$y$…`). `password` is a plain one, for systems that
    take no other (Windows); it is refused unless the site allows it.
    """

    name: UserName
    ssh_keys: tuple[str, ...] = ()
    password_hash: str = ""
    password: str = ""
    full_name: str = ""
    groups: tuple[UserName, ...] = ()
    admin: bool = True

    def __post_init__(self) -> None:
        check_keys(self.ssh_keys)
        check_hash(self.password_hash)
        if self.password_hash and self.password:
            raise InputError("a user has one password", "leave out password", "password")
        _plain(self.password, "password", 127)
        _plain(self.full_name, "full_name", 100)
        if ":" in self.full_name or "," in self.full_name:
            raise InputError("a name has no colon and no comma here", "leave it out", "full_name")

    @property
    def masked(self) -> User:
        return replace(
            self,
            password_hash=_SECRET_HASH if self.password_hash else "",
            password=SECRET_WORD if self.password else "",
        )


@dataclass(frozen=True)
class Repository:
    """A package source besides the system's own.

    `suite` and `components` are Debian's; `key` is an armoured OpenPGP key, "" where the system
    has it. `url` is http or https.
    """

    name: str
    url: str
    suite: str = ""
    components: tuple[str, ...] = ()
    key: str = ""

    def __post_init__(self) -> None:
        match(_NAME, self.name, "name", "use letters, digits, and any of _ . -")
        check_public_url(self.url, "url")
        if self.suite:
            match(_NAME, self.suite.replace("/", "."), "suite", "write it as in bookworm")
        for component in self.components:
            match(_NAME, component, "components", "write it as in main")
        begin = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
        if self.key and (not self.key.startswith(begin) or len(self.key) > _LONGEST_KEY):
            raise InputError("this is no OpenPGP key", f"paste it from {begin} on", "key")


@dataclass(frozen=True)
class Scripts:
    """Shell text: `pre` before anything is written (where the installer has such a moment),
    `post` in the installed system, as root, before its first boot. A failure ends the deployment.
    """

    pre: str = ""
    post: str = ""

    def __post_init__(self) -> None:
        for name in ("pre", "post"):
            text: str = getattr(self, name)
            if len(text.encode(errors="replace")) > _LONGEST_SCRIPT or "\0" in text or "\r" in text:
                raise InputError(
                    f"this is no script of {_LONGEST_SCRIPT} octets at most",
                    "put the rest into a file that it fetches; end lines with line feeds",
                    name,
                )

    @property
    def masked(self) -> Scripts:
        return Scripts(self.pre and SECRET_WORD, self.post and SECRET_WORD)


@dataclass(frozen=True)
class Parameters:
    """What the system is told. `hostname` "": the machine's name; `domain` "": the site's.

    `mirror`: where packages come from, "" for the site's; `proxy`: an HTTP proxy for packages.
    `firmware`: also the packages with firmware that is not free. `fragments`: raw text for one
    family's answer file, by the family's name; `template`: a whole answer file of the user's own,
    by its file's name beside the profile. `vars`: what templates read besides.
    """

    hostname: HostName | None = None
    domain: DomainName | None = None
    locale: str = "C.UTF-8"
    keyboard: str = "us"
    timezone: str = "Etc/UTC"
    ntp: tuple[str, ...] = ()
    users: tuple[User, ...] = ()
    root: RootPolicy = RootPolicy.LOCKED
    root_keys: tuple[str, ...] = ()
    root_password_hash: str = ""
    network: Network = field(default_factory=Network)
    packages: tuple[str, ...] = ()
    package_groups: tuple[str, ...] = ()
    repositories: tuple[Repository, ...] = ()
    proxy: str = ""
    mirror: str = ""
    kernel_arguments: tuple[KernelWord, ...] = ()
    scripts: Scripts = field(default_factory=Scripts)
    firmware: bool = False
    security: Security = Security.DEFAULT
    fragments: dict[str, str] = field(default_factory=dict)
    template: str = ""
    vars: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        match(_ZONE, self.timezone, "timezone", "write it as in Europe/Berlin")
        match(_LOCALE, self.locale, "locale", "write it as in de_DE.UTF-8")
        match(_KEYBOARD, self.keyboard, "keyboard", "write it as in us or de")
        for package in self.packages:
            match(_PACKAGE, package, "packages", "name packages as the system's own tool does")
        for group in self.package_groups:
            match(_GROUP, group, "package_groups", "name groups as the system's own tool does")
        for server in self.ntp:
            match(_SERVER, server, "ntp", "give host names or addresses")
        if len(" ".join(self.kernel_arguments)) > _LONGEST_ARGUMENTS:
            raise InputError(
                f"these are more than {_LONGEST_ARGUMENTS} characters of arguments",
                "a kernel would cut them off: give fewer",
                "kernel_arguments",
            )
        if self.proxy:
            check_url(self.proxy, "proxy")
        if self.mirror:
            check_public_url(self.mirror, "mirror")
        if self.template:
            match(_TEMPLATE, self.template, "template", "name a file beside the profile")
        check_keys(self.root_keys, "root_keys")
        check_hash(self.root_password_hash, "root_password_hash")
        names = [user.name for user in self.users]
        if len(set(names)) < len(names):
            raise InputError("a user is given twice", "give each once", "users")

    def check_together(self) -> None:
        """InputError where one does not go with another: asked once all scopes are joined."""
        wanted = {RootPolicy.KEYS: "root_keys", RootPolicy.PASSWORD: "root_password_hash"}
        for policy, name in wanted.items():
            if (self.root is policy) is not bool(getattr(self, name)):
                raise InputError(
                    f"root: {policy} and {name} belong together", "give both, or neither", name
                )

    @property
    def public(self) -> Parameters:
        """What may be known before the claim: nothing that lets anybody in, and no text of a
        person's own.
        """
        return replace(
            self,
            users=(),
            root=RootPolicy.LOCKED,
            root_keys=(),
            root_password_hash="",
            proxy="",
            scripts=Scripts(),
            # Of a system that we do not know: arguments of its kernel, which are no secret.
            fragments={name: self.fragments[name] for name in ("other",) if name in self.fragments},
            template="",
            vars={},
        )

    @property
    def masked(self) -> Parameters:
        """With a word in the place of each secret, so that what is made of it can be shown."""
        root_hash = _SECRET_HASH if self.root_password_hash else ""
        return replace(
            self,
            users=tuple(user.masked for user in self.users),
            root_password_hash=root_hash,
            proxy=_masked_url(self.proxy),
            # Raw texts of a person's own: nobody knows what is in them.
            scripts=self.scripts.masked,
            fragments={},
            vars=dict.fromkeys(self.vars, SECRET_WORD),
        )


def _masked_url(url: str) -> str:
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{SECRET_WORD}@{host}").geturl() if user else url


def check_keys(keys: tuple[str, ...], where: str = "ssh_keys") -> None:
    """InputError where one is not a public SSH key's one line."""
    for key in keys:
        if not _KEY.fullmatch(key) or not key.isprintable():
            raise InputError(
                f"{key!r:.60} is not a public SSH key",
                "paste the one line of the .pub file",
                where,
            )


def check_hash(text: str, where: str = "password_hash") -> None:
    """InputError where it is not the hash of a password, as crypt(5) has them; "" is none."""
    if text and not _HASH.fullmatch(text):
        raise InputError("this is not a password hash", "make one with: mkpasswd -m sha-512", where)


def check_url(text: str, where: str) -> None:
    """InputError where it is not a URL by HTTP that can stand in any answer file."""
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    # Blanks, quotes and shells' characters are percent-encoded in a URL anyhow (RFC 3986).
    if not fine or not re.fullmatch(r"[A-Za-z0-9:/?#\[\]@!&()*+,;=._~%-]{1,500}", text):
        shown = text.rpartition("@")[2]  # without a password
        raise InputError(
            f"{shown!r:.80} is no URL", "write it as in http://192.0.2.1/debian", where
        )


def check_public_url(text: str, where: str) -> None:
    """The same, and without a password: it is written where everybody can read it."""
    check_url(text, where)
    if "@" in urlsplit(text).netloc:
        raise InputError("this URL has a user in it", "give one that needs no password", where)


def match(pattern: re.Pattern[str], text: str, where: str, step: str) -> None:
    if not pattern.fullmatch(text):
        raise InputError(f"{text!r:.60} is not right here", step, where)


def _plain(text: str, where: str, most: int) -> None:
    if len(text) > most or not text.isprintable():
        raise InputError(f"this is no text of {most} characters on one line", "shorten it", where)
