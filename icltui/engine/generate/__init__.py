"""Text with the context, without it, and without it through a patch."""
