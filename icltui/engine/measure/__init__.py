"""What each unit of the context does at each layer: packed passes, rank-1 updates, predictions."""
