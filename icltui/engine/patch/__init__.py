"""The context's effect as a change of weights: built, decoded through, evaluated."""
