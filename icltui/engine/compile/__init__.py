"""A context becomes one patch that carries over: its calibration queries, and what is chosen on them."""
