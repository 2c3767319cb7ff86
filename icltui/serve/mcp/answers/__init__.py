"""What agents are told: of each operation the rows that matter, with the controls that belong to them.

A module has one function for its operation: it asks the same engine for the controls too, and what it gives makes the
:class:`.AgentAnswer` of as many rows as there is room for.
"""
