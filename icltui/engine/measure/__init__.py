"""The effect of each unit of the context at each layer: packed passes, rank-1 updates, predictions."""
