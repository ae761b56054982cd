"""What this service may hand out, looked up in the view: by hash, by role, by token. Pure."""

from __future__ import annotations

from ironwake import families
from ironwake.deployment import Deployment
from ironwake.families import FAMILIES
from ironwake.lifecycle import ENDS
from ironwake.methods import live
from ironwake.plan import LOADERS
from ironwake.profile import Method
from ironwake.site import Stored
from ironwake.view import Index

ORDER = "order"
TREE = "tree"
INSIDE = "inside"  # the role of what is in a tree


class Stock:
    """One view's answers. Immutable: a new view makes a new one."""

    def __init__(self, index: Index) -> None:
        self.index = index
        items = index.view.shelf.items
        self._artifacts = {(item.sha256, item.file): item for item in reversed(items)}
        self._trees = {item.sha256: item for item in reversed(items) if item.role == TREE}
        self._loaders = {item.role: item for item in items if item.manifest == LOADERS}
        entries = index.view.entries
        self._deployments = {e.deployment.token: e.deployment for e in entries if e.deployment}

    def artifact(self, sha256: str, file: str) -> Stored | None:
        """Only what stands on the shelf: that a file lies in the store is not enough."""
        return self._artifacts.get((sha256, file))

    def tree(self, sha256: str) -> Stored | None:
        """The table of a medium on the shelf."""
        return self._trees.get(sha256)

    def loader(self, role: str) -> Stored | None:
        return self._loaders.get(role)

    def knows(self, token: str) -> bool:
        """Whether a deployment of the view has this token; the controller may know newer ones."""
        return token in self._deployments

    def deployment(self, token: str) -> Deployment | None:
        """The deployment with this token, if the view has it."""
        return self._deployments.get(token) if token else None

    @property
    def live(self) -> frozenset[str]:
        """The ids of all that have not ended."""
        return frozenset(one.id for one in self._deployments.values() if one.state not in ENDS)

    def payload_fits(self, token: str, name: str) -> bool:
        """Whether `order`, or an answer file's name, is what this deployment's claim gives.

        Asking under a wrong name must not use the claim up. For a token that is newer than the
        view, any name that some deployment could have will do: the controller decides.
        """
        deployment = self._deployments.get(token)
        if deployment is not None:
            return name in payload_names(deployment)
        answers = {name for family in FAMILIES.values() for name in family.files}
        return name in {ORDER, *live.FILES, *answers}


def payload_names(deployment: Deployment) -> tuple[str, ...]:
    """`order` for the agent, a live system's seed, or the names of the family's answer files."""
    match deployment.profile.method:
        case Method.SCRIPT:
            return families.of(deployment.need_release()).files
        case Method.LIVE:
            return live.FILES
    return (ORDER,)
