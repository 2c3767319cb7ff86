"""Results as text and pictures: JSON and CSV for scripts; tables, Markdown and figures for people.

It needs no model and no screen. ``measures`` is the registry that all columns come from.
"""
