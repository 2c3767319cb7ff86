"""The engine in this process for Python: models that the user holds, tables, figures and sessions in a notebook."""
