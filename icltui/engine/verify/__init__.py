"""Proof of the patch on the loaded model, with its controls."""
