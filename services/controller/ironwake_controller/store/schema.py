"""The tables. Times are ISO 8601 text in UTC; monotonic times are floats of one kernel's run."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

# SQLite counts only columns that are spelled INTEGER by themselves.
_Number = BigInteger().with_variant(Integer, "sqlite")

meta = Table(
    "meta",
    metadata,
    Column("key", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

machines = Table(
    "machines",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("name", String(63), nullable=False, unique=True),
    Column("document", JSON, nullable=False),  # ironwake.machine.Machine
    Column("firmware", String(40), nullable=False, default=""),  # as last seen
    Column("last_seen", String(30), nullable=False, default=""),
    Column("facts", JSON, nullable=False, default=dict),
    # ironwake.memory.Memory: what was learned of it, as against what a person said
    Column("memory", JSON, nullable=False, default=dict, server_default="{}"),
    Column("disks", JSON(none_as_null=True)),  # of ironwake.disk.Disk, as the agent saw them
    Column("power", JSON(none_as_null=True)),  # driver and its settings; secrets are sealed
    sqlite_autoincrement=True,
)

macs = Table(
    "macs",
    metadata,
    Column("mac", String(17), primary_key=True),
    Column("machine_id", _Number, nullable=False, index=True),
)

addresses = Table(
    "addresses",
    metadata,
    Column("mac", String(17), primary_key=True),
    Column("address", String(45), nullable=False, index=True),
    Column("at", String(30), nullable=False),
)

deployments = Table(
    "deployments",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", String(20), nullable=False, unique=True),
    Column("machine_id", _Number, nullable=False, index=True),
    Column("machine", String(63), nullable=False),
    Column("document", JSON, nullable=False),  # ironwake.deployment.Deployment without state
    Column("state", String(20), nullable=False, index=True),
    Column("token", String(64), nullable=False, unique=True),
    Column("health_token", String(64), nullable=False, unique=True),
    Column("wake", Boolean, nullable=False),
    Column("created", String(30), nullable=False),
    Column("expires", String(30), nullable=False),
    Column("ended", String(30), nullable=False, default=""),
    # When the arm runs out, by the monotonic clock of this run of the kernel.
    Column("expires_at", Float, nullable=False),
    Column("clock_boot", String(40), nullable=False),
    Column("claim", JSON(none_as_null=True)),  # client, boot, at, monotonic, clock_boot, open
    Column("step", Text, nullable=False, default=""),
    Column("percent", Float),
    Column("message", Text, nullable=False, default=""),
    Column("stuck", JSON(none_as_null=True)),
    Column("held", Text, nullable=False, default=""),
    Column("callbacks", Integer, nullable=False, default=0),
    Column("uuid", String(36), nullable=False, default="", server_default=""),  # who began it
    # boots seen since the claim and before `installed`
    Column("keys", Text, nullable=False, default="", server_default=""),  # sealed; of its volumes
    Column("reboots", Integer, nullable=False, default=0, server_default="0"),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=True),
    Column("at", String(30), nullable=False),
    Column("machine", String(63), nullable=False),
    Column("deployment", String(20), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("evidence", String(20), nullable=False),  # "" where it moves nothing
    Column("state", String(20), nullable=False),  # the deployment's, after this event
    Column("message", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("plan", String(64), nullable=False),
    Index("events_deployment", "deployment", "seq"),
    Index("events_machine", "machine", "seq"),
    sqlite_autoincrement=True,
)

# What the dhcp service has given out, as it told: a copy for people and for names.
leases = Table(
    "leases",
    metadata,
    Column("address", String(45), primary_key=True),
    Column("mac", String(17), nullable=False),
    Column("hostname", String(63), nullable=False, default="", server_default=""),
    Column("subnet", String(18), nullable=False),
    Column("expires", Float, nullable=False),  # seconds since 1970, as it was told
    Column("expires_at", Float, nullable=False),  # the same by the monotonic clock of
    Column("clock_boot", String(36), nullable=False),  # this run of the kernel
    Column("first_seen", String(30), nullable=False),  # in which order machines came up
    Index("leases_mac", "mac"),
)

receipts = Table(
    "receipts",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("scope", String(20), nullable=False),  # a deployment's id, or "observation"
    Column("id", String(100), nullable=False),
    Index("receipts_id", "scope", "id", unique=True),
    sqlite_autoincrement=True,
)
