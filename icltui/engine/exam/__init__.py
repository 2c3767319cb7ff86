"""Every way from a context to weights, put to one test on queries that it has not seen."""
