# Made from the table in __init__.py by python -m tests.docs.reference.
# ruff: noqa: I001

from icltui.values import AttentionHeads as AttentionHeads
from icltui.values.errors import BadInput as BadInput
from icltui.values import Compilation as Compilation
from icltui.values.errors import EngineError as EngineError
from icltui.api.messages import Event as Event
from icltui.values import Exam as Exam
from icltui.values.errors import ForwardError as ForwardError
from icltui.values import Generation as Generation
from icltui.values.errors import IcltuiError as IcltuiError
from icltui.values import LossCurves as LossCurves
from icltui.values import Measurement as Measurement
from icltui.values.errors import ModelError as ModelError
from icltui.values import ModelInfo as ModelInfo
from icltui.values.errors import OutOfMemory as OutOfMemory
from icltui.notebook.patched import PatchedModel as PatchedModel
from icltui.notebook.session import Session as Session
from icltui.values.errors import SessionError as SessionError
from icltui.values import Verification as Verification
from icltui.notebook.operations import compile as compile
from icltui.notebook.operations import curves as curves
from icltui.notebook.operations import describe as describe
from icltui.notebook.operations import exam as exam
from icltui.notebook.operations import generate as generate
from icltui.notebook.operations import heads as heads
from icltui.notebook.operations import measure as measure
from icltui.notebook.patched import patched as patched
from icltui.notebook.operations import verify as verify

__version__: str
