"""Curves of in-context learning: the loss at every position of a text, its score and slope."""
