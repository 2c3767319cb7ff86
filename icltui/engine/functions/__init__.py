"""In-context linear regression by one block that is trained here, as in the theory's own experiments."""
