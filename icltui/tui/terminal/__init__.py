"""The terminal: what it sends, what it is sent, and how it is left in order."""
