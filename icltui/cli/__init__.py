"""The command line: one module for each command, put together in ``main``; torch and textual are imported late."""
