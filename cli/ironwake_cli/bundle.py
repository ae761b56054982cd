"""`ironwake bundle …`: everything for a site without a network, in one verified file."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ironwake.errors import InputError
from ironwake.firmware import Architecture
from ironwake_cli.media import drawing
from ironwake_cli.output import JSON, as_json, say, size
from ironwake_cli.session import of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ironwake.profile import Profile
    from ironwake.progress import Progress
    from ironwake_imager.bundle.bring import Brought
    from ironwake_imager.bundle.gather import Gathering, Wanted
    from ironwake_runtime.settings import Settings

_STEP = "bundle"
_HERE = Path(__file__).parents[2]


def export(
    context: typer.Context,
    file: Path = typer.Argument(..., help="the bundle to write", show_default=False),
    profiles: list[str] = typer.Option(
        [], "--profile", metavar="NAME", help="a profile, and all that its machines are served"
    ),
    media: list[str] = typer.Option(
        [], "--media", metavar="NAME", help="a medium more; see: ironwake media list"
    ),
    packages: bool = typer.Option(
        False, "--packages", help="also the packages that these profiles add"
    ),
    containers: bool = typer.Option(False, "--containers", help="also the product's images"),
    wheels: bool = typer.Option(False, "--wheels", help="also the product as wheels"),
    project: Path = typer.Option(_HERE, "--project", help="the checkout for --wheels"),
    architectures: list[Architecture] = typer.Option(
        [Architecture.AMD64], "--architecture", help="of the machines; may be given again"
    ),
    json: bool = JSON,
) -> None:
    """Write what a site without a network needs, each file with its SHA-256.

    Example:

        ironwake bundle export site.iwb --profile web --packages --containers
    """
    from datetime import UTC, datetime

    from ironwake_imager.bundle import archive
    from ironwake_imager.bundle.gather import Gathering
    from ironwake_runtime.artifacts import ArtifactStore

    settings = of(context).settings
    if not (profiles or media or containers or wheels):
        step = "give --profile, --media, --containers or --wheels"
        raise InputError("there is nothing to put into it", step)
    if packages and not profiles:
        raise InputError("packages are those of profiles", "give --profile", "--packages")
    store = ArtifactStore(settings.artifacts)
    gathering = Gathering(store, settings.ramdisk, tuple(architectures))
    wanted = [_profile(settings, name) for name in profiles]
    with drawing() as progress, _work(settings) as folder:
        names = [name for one in wanted for name in gathering.manifests_of(one)]
        gathering.media((*names, *media))
        gathering.pages(folder)
        if profiles:
            gathering.profiles(settings.profiles, profiles)
            gathering.parameters(settings.parameters)
        if packages:
            _packages(settings, gathering, wanted, progress)
        _product(gathering, folder, project if wheels else None, containers, progress)
        progress(_STEP, None, f"hashing {len(gathering.files)} files")
        found = gathering.bundle(datetime.now(UTC), _version())

        def told(done: int, whole: int) -> None:
            progress(_STEP, done / max(whole, 1), f"packing {size(whole)}")

        archive.write(file, found, gathering.files, told)
        progress(_STEP, 1.0, f"it is in {file}")
    if json:
        as_json({"file": str(file), "size": file.stat().st_size, "files": len(found.entries)})
        return
    say(f"{file} is there: {size(file.stat().st_size)}, {len(found.entries)} files")


def bring(
    context: typer.Context,
    file: Path = typer.Argument(..., help="the bundle", show_default=False),
    replace: bool = typer.Option(
        False, "--replace", help="also profiles and parameters that are other ones here"
    ),
    json: bool = JSON,
) -> None:
    """Verify a bundle whole, and put everything in its place; run it again where it was cut off.

    Example:

        ironwake bundle import site.iwb
    """
    from ironwake_imager.bundle import bring as bringing
    from ironwake_imager.bundle import product
    from ironwake_runtime.artifacts import ArtifactStore

    settings = of(context).settings
    places = bringing.Places(
        cache=settings.cache_dir,
        store=ArtifactStore(settings.artifacts),
        packages=settings.packages_folder,
        profiles=settings.profiles,
        parameters=settings.parameters,
        check=_check,
    )
    with drawing() as progress:
        done = bringing.bring(file, places, progress, replace)
    loaded = [one for one in done.containers if product.load(one)]
    if json:
        as_json(_document(done, loaded))
        return
    for what in ("media", "images", "mirrors", "profiles", "parameters"):
        if names := getattr(done, what):
            say(f"{what}: {', '.join(names)}")
    for one in done.containers:
        say("images for containers: loaded" if one in loaded else f"no Docker here: {one} waits")
    if done.wheels:
        place = done.wheels[0].parent
        say(f"wheels: pip install --no-index --find-links {place} 'ironwake[all]'")
    for kept in done.kept:
        say(f"kept as it is here: {kept}")
    if done.kept and not replace:
        say("of profiles and parameters, --replace takes the bundle's")


def _document(done: Brought, loaded: list[Path]) -> dict[str, object]:
    names = ("media", "images", "mirrors", "profiles", "parameters", "kept")
    return {
        **{name: getattr(done, name) for name in names},
        "wheels": [str(path) for path in done.wheels],
        "containers": [str(path) for path in done.containers],
        "loaded": [str(path) for path in loaded],
    }


def _packages(
    settings: Settings, gathering: Gathering, wanted: list[Wanted], progress: Progress
) -> None:
    from ironwake_imager.bundle.closure import closure
    from ironwake_runtime.aptsources import mirror_of

    progress("packages", None, "reading what the systems have")
    systems = gathering.systems(wanted, _further(settings))
    parts = closure(
        systems,
        mirror_of(settings.mirror),
        settings.cache_dir.absolute(),
        lambda text: progress("packages", None, text),
    )
    gathering.packages(parts)
    progress("packages", 1.0, f"{sum(len(part.files) for part in parts.values())} files")


def _further(settings: Settings) -> list[tuple[str, ...]]:
    """Packages that the site's own files add, for whichever machines."""
    found = []
    for path in sorted(settings.parameters.rglob("*.yaml")):
        stated = _stated(str(path), path.read_bytes())
        found.append(tuple(str(name) for name in stated.get("packages", ())))
    return found


def _check(path: str, raw: bytes) -> None:
    """Of a bundle: a profile's text, or one of parameters."""
    kind, _, name = path.partition("/")
    if kind == "parameters":
        _stated(path, raw)
    else:
        _read(name, raw)


def _stated(path: str, raw: bytes) -> dict[str, Any]:
    """A file of parameters; InputError with its name and line where it is none."""
    from ironwake.parameters.files import Group, Stated
    from ironwake_runtime import yamlfile

    try:
        if Path(path).parent.name == "groups":
            return yamlfile.parse(Group, raw).parameters
        return yamlfile.parse(Stated, raw).parameters
    except InputError as error:
        raise yamlfile.placed(error, path) from None


def _product(
    gathering: Gathering, folder: Path, project: Path | None, containers: bool, progress: Progress
) -> None:
    from ironwake_imager.bundle import product

    if containers:
        progress("containers", None, "saving images")
        gathering.product(containers=product.containers(folder))
        progress("containers", 1.0, "saved")
    if project is not None:
        progress("wheels", None, "fetching wheels")
        gathering.product(wheels=product.wheels(folder, project.absolute()))
        progress("wheels", 1.0, "fetched")


def _profile(settings: Settings, name: str) -> Wanted:
    from ironwake.errors import UnknownError
    from ironwake.release import find
    from ironwake_imager.bundle.gather import Wanted
    from ironwake_runtime import catalogue

    for end in (".yaml", ".yml"):
        path = settings.profiles / f"{name}{end}"
        if "/" not in name and path.is_file():
            profile = _read(path.name, path.read_bytes())
            known = catalogue.releases(settings.catalogue)
            release = find(profile.release, known) if profile.release else None
            return Wanted(name, profile, release)
    raise UnknownError(f"there is no profile {name!r:.60}", f"they are in {settings.profiles}")


def _read(name: str, raw: bytes) -> Profile:
    """A profile's file; InputError with its name and line where it is none."""
    from ironwake.profile import Profile
    from ironwake_runtime import yamlfile

    try:
        return yamlfile.parse(Profile, raw)
    except InputError as error:
        raise yamlfile.placed(error, name) from None


def _version() -> str:
    from importlib.metadata import version

    return version("ironwake")


@contextmanager
def _work(settings: Settings) -> Iterator[Path]:
    """A folder on the cache's disk: images for containers are large."""
    import tempfile

    settings.cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=settings.cache_dir) as folder:
        yield Path(folder)
