"""Records as text and pictures: JSON and CSV for scripts, tables, Markdown and figures for people.

Needs no model and no screen.
"""
