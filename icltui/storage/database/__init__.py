"""The log of measurements in a database that others can query: SQLite, PostgreSQL, or what SQLAlchemy reaches."""
