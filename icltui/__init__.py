"""icltui: see and use what a context does to a language model's weights.

A context changes what a model says. Inside each transformer block this equals a rank-1 change of the MLP's
weights, ΔW = (W·δ)zᵀ/‖z‖², and a shift of the residual stream. The package measures both and puts them in the
context's place. Data flows one way::

    prompt ─▶ tokens ─▶ capture ─▶ measure ─▶ patch ─▶ generate ─▶ values ─▶ session ─▶ view
     text      ids      tensors    tensors    tensors   ids        └ torch ends here: only plain values go on

===========  ====================================================================================
``text``     text that is safe to print: escapes, JSON, tables, units, Markdown, spreadsheets
``values``   the frozen values that leave the engine; also the wire and the session format
``api``      what may be asked of an engine, what it answers, and what the answers add up to
``storage``  sessions, settings and recent models as files
``system``   child processes, the streams of a command, a bounded log
``replay``   a saved record compared with the same record, computed again
``report``   records as JSON, CSV, tables, Markdown and figures
``engine``   pure torch: models, prompts, measures, patches, generation, proof, export
``worker``   the engine in a child process: JSON lines over stdio
``notebook`` the engine on a model that the user holds: the functions of this package
``tui``      the explorer, in Textual; it never sees a tensor
``cli``      one file for each command: the only room where all others meet
``bench``    races and timings; ``zoo``, the proof on every architecture; ``demo``, the embedded model
===========  ====================================================================================
"""

__version__ = "0.2.0"

_WHERE = {
    "icltui.api.messages": ("Event",),
    "icltui.notebook.operations": (
        "describe",
        "measure",
        "generate",
        "verify",
        "curves",
        "heads",
        "compile",
        "exam",
    ),
    "icltui.notebook.patched": ("patched", "PatchedModel"),
    "icltui.notebook.session": ("Session",),
    "icltui.values": (
        "AttentionHeads",
        "Compilation",
        "Exam",
        "Generation",
        "LossCurves",
        "Measurement",
        "ModelInfo",
        "Verification",
    ),
    "icltui.values.errors": (
        "BadInput",
        "EngineError",
        "ForwardError",
        "IcltuiError",
        "ModelError",
        "OutOfMemory",
        "SessionError",
    ),
}
"""The module of each name: it is imported when the name is first used, so that the command line starts at once.

``__init__.pyi`` beside it says the same to type checkers and editors; python -m tests.docs.reference makes it.
"""
_MODULES = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [*_MODULES]


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__():
    return sorted({*globals(), *_MODULES})
