"""The controller: who may boot what, once; the store, the public API and the internal one."""
