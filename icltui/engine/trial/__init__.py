"""Many prompts in batches: contextual, plain and patched logits, with controls, and what the context changes."""
