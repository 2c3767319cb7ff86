"""A saved record against the same record, computed again."""
