"""Examples given in a context against the same examples trained on, in the weights of one model."""
