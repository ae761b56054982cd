"""What is remembered of a machine, its disks, power driver, identity and reboots, and leases."""

from __future__ import annotations

from alembic import op
from sqlalchemy import JSON, Column, Float, Integer, String, Text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("machines", Column("memory", JSON, nullable=False, server_default="{}"))
    op.add_column("machines", Column("disks", JSON(none_as_null=True)))
    op.add_column("machines", Column("power", JSON(none_as_null=True)))
    op.add_column("deployments", Column("uuid", String(36), nullable=False, server_default=""))
    op.add_column("deployments", Column("keys", Text, nullable=False, server_default=""))
    op.add_column("deployments", Column("reboots", Integer, nullable=False, server_default="0"))
    op.create_table(
        "leases",
        Column("address", String(45), primary_key=True),
        Column("mac", String(17), nullable=False),
        Column("hostname", String(63), nullable=False, server_default=""),
        Column("subnet", String(18), nullable=False),
        Column("expires", Float, nullable=False),
        Column("expires_at", Float, nullable=False),
        Column("clock_boot", String(36), nullable=False),
        Column("first_seen", String(30), nullable=False),
    )
    op.create_index("leases_mac", "leases", ["mac"])
