"""What Prometheus reads: counters of this run, and gauges taken from the store when asked."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    """A registry of its own: two controllers in one process (tests) do not share numbers."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.observations = self._counter(
            "ironwake_observations", "What the data plane saw", "service", "seen"
        )
        self.repeats = self._counter(
            "ironwake_observations_repeated", "Observations that were no news", "seen"
        )
        self.claims = self._counter(
            "ironwake_claims", "Requests for answers: granted, repeated, refused", "outcome"
        )
        self.callbacks = self._counter("ironwake_callbacks", "Machines' reports", "stage")
        self.health = self._counter("ironwake_health_reports", "Installed systems' first words")
        self.alarms = self._counter("ironwake_alarms", "Machines that are not who they should be")
        self.packets = self._counter("ironwake_magic_packets", "Wake-on-LAN packets sent")
        self.denied = self._counter(
            "ironwake_api_denied", "Calls without the right token", "status"
        )
        self._machines = Gauge("ironwake_machines", "Enrolled machines", registry=self._registry)
        self._deployments = Gauge(
            "ironwake_deployments", "Deployments by state", ["state"], registry=self._registry
        )
        self._stuck = Gauge(
            "ironwake_deployments_stuck", "Deployments past a deadline", registry=self._registry
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def render(self, machines: int, deployments: dict[str, int], stuck: int) -> bytes:
        """The text format 0.0.4. `deployments` has a count for each state."""
        self._machines.set(machines)
        self._stuck.set(stuck)
        for state, count in deployments.items():
            self._deployments.labels(state).set(count)
        return generate_latest(self._registry)
