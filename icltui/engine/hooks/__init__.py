"""The sites where a model is seen and patched, found by one traced pass, and the hooks at them."""
