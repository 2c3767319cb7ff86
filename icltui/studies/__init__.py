"""Experiments with a question: the sweep over prompts, and the studies that icltui brings ready-made."""
