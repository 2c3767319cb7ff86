"""Patch effects: how near the context's answer comes where the patch of one layer acts alone, by layer and unit."""
