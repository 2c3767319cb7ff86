"""icltui: see and use what a context does to a language model's weights.

A context changes what a model says. Inside each transformer block this equals a rank-1 change of the MLP's
weights, ΔW = (W·δ)zᵀ/‖z‖², and a shift of the residual stream. The package measures both and puts them in the
context's place. Data flows one way, and each arrow is an import that points left only::

    prompt ─▶ tokens ─▶ capture ─▶ measure ─▶ patch ─▶ generate ─▶ record ─▶ session ─▶ view
     text      ids      tensors    tensors    tensors   ids        └ torch ends here: only plain values go on

=============  ==================================================================================
``prompt``     what the user typed and chose
``engine``     pure torch: tokens, capture, measures, patches, generation, proof
``record``     the frozen values that leave the engine; also the wire and the session format
``api``        what may be asked of an engine, and what it answers
``worker``     the engine in a child process: JSON lines over stdio
``session``    sessions as JSON files
``export``     a session as a table, a report or a figure
``tui``        the explorer, in Textual; it never sees a tensor
``demo``       the embedded model: its corpus, its trainer, its score
``cli``        the one place where all of these are put together
=============  ==================================================================================
"""

__version__ = "0.1.0"
