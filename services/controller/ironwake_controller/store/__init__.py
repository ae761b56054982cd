"""What is kept: SQLAlchemy on SQLite, or on PostgreSQL by the same code."""
