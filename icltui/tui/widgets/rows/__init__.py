"""The panes on the rows of a folder."""
