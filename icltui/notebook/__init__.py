"""The engine in this process for Python: models that the user holds, tables, figures and sessions in a notebook."""

from icltui.notebook.display import show_in_notebooks

show_in_notebooks()
