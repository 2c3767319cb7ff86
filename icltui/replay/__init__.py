"""A saved record against the same record, computed again: pairs of fields, tolerances, and what differs."""
