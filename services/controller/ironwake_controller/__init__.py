"""The controller: API, store, deployments, waking, deadlines."""
