"""Where a model is seen and patched: its sites, found by one traced pass, and the hooks at them."""
