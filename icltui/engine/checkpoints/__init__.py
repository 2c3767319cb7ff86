"""What one checkpoint of a training has learned, in plain numbers."""
