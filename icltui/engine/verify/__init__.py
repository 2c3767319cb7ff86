"""Verification of the patch on the loaded model and one prompt, with controls."""
