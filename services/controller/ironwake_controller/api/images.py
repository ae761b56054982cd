"""`/v1/images`: what disks and roots there are. Imported by the imager, only read here."""

from __future__ import annotations

from fastapi import APIRouter

from ironwake.image import Catalogue, Image
from ironwake.lifecycle import State
from ironwake_controller.api.image_shapes import ImagePage, ImageShape
from ironwake_controller.house import House

# A machine whose deployment ended so does not run the image, nor will it.
_WITHOUT = (State.FAILED, State.CANCELLED, State.EXPIRED)


def routes(house: House) -> APIRouter:
    """The routes of this noun."""
    router = APIRouter(prefix="/v1/images", tags=["images"])

    @router.get("")
    def listing() -> ImagePage:
        """All images, by name, the oldest version first."""
        catalogue, users = house.images(), _users(house)
        return ImagePage(items=[_show(one, catalogue, users) for one in catalogue.images])

    @router.get("/{name}")
    def get(name: str) -> ImageShape:
        """One: `name@version`, `name@tag`, or `name` for its newest version."""
        catalogue = house.images()
        return _show(catalogue.find(name), catalogue, _users(house))

    return router


def _users(house: House) -> dict[str, list[str]]:
    """Image → machines that have it, or are about to get it."""
    found: dict[str, list[str]] = {}
    for entry in house.views.index().view.entries:
        deployment = entry.deployment
        if deployment and deployment.profile.image and deployment.state not in _WITHOUT:
            found.setdefault(deployment.profile.image, []).append(str(entry.machine.name))
    return found


def _show(image: Image, catalogue: Catalogue, users: dict[str, list[str]]) -> ImageShape:
    return ImageShape(
        name=image.name,
        kind=str(image.kind),
        size=image.size,
        least_disk=image.least_disk,
        built=image.built,
        tags=list(catalogue.tags(image)),
        architecture=str(image.architecture or ""),
        boot_modes=list(image.boot_modes),
        kernel=image.kernel,
        family=image.family,
        sha256=image.sha256,
        source=image.source,
        machines=users.get(image.name, []),
    )
