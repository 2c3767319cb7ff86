"""Text that is safe wherever it goes: one module for each kind."""
