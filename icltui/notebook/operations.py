"""Every operation as a function of Python: on a model in memory or by its name, with the options of the one table.

``operations.pyi`` beside it says the same to type checkers and editors; it is made from the table, too.
"""

from icltui.api.operation import OPERATIONS
from icltui.notebook.describe import describe
from icltui.notebook.function import function_of

globals().update({operation.name: function_of(operation) for operation in OPERATIONS})

__all__ = ["describe", *(operation.name for operation in OPERATIONS)]
