"""`/v1/site`, and how this service feels: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

from importlib import metadata

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from ironwake import wire
from ironwake.lifecycle import State
from ironwake_controller.api.site_shapes import MediaShape, SiteShape
from ironwake_controller.house import House
from ironwake_controller.store import deployments, machines, meta


def version() -> str:
    """Of this distribution."""
    try:
        return metadata.version("ironwake")
    except metadata.PackageNotFoundError:
        return "unknown"


def routes(house: House) -> APIRouter:
    """The routes about the appliance itself."""
    router = APIRouter(tags=["appliance"])

    @router.get("/v1/site")
    def site() -> SiteShape:
        """What the appliance is to its network, and what it has in store."""
        policy = house.policy()
        own = policy.site
        with house.store.read() as connection:
            name = meta.epoch(connection).site
        return SiteShape(
            id=name,
            version=version(),
            address=own.address,
            prefix=own.prefix,
            url=own.url,
            domain=str(own.domain),
            dhcp_mode=house.settings.dhcp_mode,
            subnets=wire.dump(own.subnets),
            foreign=wire.dump(policy.foreign),
            ramdisk=own.ramdisk,
            mirror=own.mirror,
            package_cache=own.cache,
            view=house.store.version,
            media=[
                MediaShape(
                    name=item.name,
                    kind=item.kind,
                    built=item.built,
                    facts={key: str(value) for key, value in item.facts.items()},
                )
                for item in house.surroundings.manifests
            ],
            trouble=house.surroundings.trouble,
        )

    @router.get("/healthz")
    def alive() -> dict[str, str]:
        """The process runs."""
        return {"status": "alive"}

    @router.get("/readyz")
    def ready() -> dict[str, str]:
        """The database answers, and the data plane can be told what it may do."""
        house.views.index()
        with house.store.read() as connection:
            meta.version(connection)
        return {"status": "ready"}

    @router.get("/metrics", responses={200: {"content": {"text/plain": {}}}})
    def metrics() -> Response:
        """Prometheus' text format."""
        with house.store.read() as connection:
            counts = dict.fromkeys((str(state) for state in State), 0)
            counts |= deployments.count_by_state(connection)
            stuck = sum(record.stuck is not None for record in deployments.live(connection))
            total = machines.count(connection)
        return Response(house.metrics.render(total, counts, stuck), media_type=CONTENT_TYPE_LATEST)

    return router
