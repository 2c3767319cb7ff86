"""Files and their paths: sessions, settings, recent models, queries, the manual; each write is whole or not at all."""
