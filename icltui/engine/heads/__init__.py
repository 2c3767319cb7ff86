"""Attention heads: which repeat what they have seen, and what each brings of the context."""
