"""The first schema."""

from __future__ import annotations

from alembic import op
from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Integer, String, Text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_Number = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "meta",
        Column("key", String(40), primary_key=True),
        Column("value", Text, nullable=False),
    )
    op.create_table(
        "machines",
        Column("id", _Number, primary_key=True, autoincrement=True),
        Column("name", String(63), nullable=False, unique=True),
        Column("document", JSON, nullable=False),
        Column("firmware", String(40), nullable=False),
        Column("last_seen", String(30), nullable=False),
        Column("facts", JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "macs",
        Column("mac", String(17), primary_key=True),
        Column("machine_id", _Number, nullable=False),
    )
    op.create_table(
        "addresses",
        Column("mac", String(17), primary_key=True),
        Column("address", String(45), nullable=False),
        Column("at", String(30), nullable=False),
    )
    op.create_table(
        "deployments",
        Column("number", _Number, primary_key=True, autoincrement=True),
        Column("id", String(20), nullable=False, unique=True),
        Column("machine_id", _Number, nullable=False),
        Column("machine", String(63), nullable=False),
        Column("document", JSON, nullable=False),
        Column("state", String(20), nullable=False),
        Column("token", String(64), nullable=False, unique=True),
        Column("health_token", String(64), nullable=False, unique=True),
        Column("wake", Boolean, nullable=False),
        Column("created", String(30), nullable=False),
        Column("expires", String(30), nullable=False),
        Column("ended", String(30), nullable=False),
        Column("expires_at", Float, nullable=False),
        Column("clock_boot", String(40), nullable=False),
        Column("claim", JSON(none_as_null=True)),
        Column("step", Text, nullable=False),
        Column("percent", Float),
        Column("message", Text, nullable=False),
        Column("stuck", JSON(none_as_null=True)),
        Column("held", Text, nullable=False),
        Column("callbacks", Integer, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "events",
        Column("seq", _Number, primary_key=True, autoincrement=True),
        Column("at", String(30), nullable=False),
        Column("machine", String(63), nullable=False),
        Column("deployment", String(20), nullable=False),
        Column("kind", String(20), nullable=False),
        Column("evidence", String(20), nullable=False),
        Column("state", String(20), nullable=False),
        Column("message", Text, nullable=False),
        Column("detail", JSON, nullable=False),
        Column("plan", String(64), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "receipts",
        Column("number", _Number, primary_key=True, autoincrement=True),
        Column("scope", String(20), nullable=False),
        Column("id", String(100), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_macs_machine_id", "macs", ["machine_id"])
    op.create_index("ix_addresses_address", "addresses", ["address"])
    op.create_index("ix_deployments_machine_id", "deployments", ["machine_id"])
    op.create_index("ix_deployments_state", "deployments", ["state"])
    op.create_index("events_deployment", "events", ["deployment", "seq"])
    op.create_index("events_machine", "events", ["machine", "seq"])
    op.create_index("receipts_id", "receipts", ["scope", "id"], unique=True)
