"""The explorer and the machine that it runs on: autosaves, crash logs, settings, folders."""
