"""The engine: pure torch, on any Hugging Face causal LM; it never sees a terminal.

Stages, each importing only those before it::

    a model       door ─▶ site ─▶ station ─▶ trace ─▶ readers ─▶ locate ─▶ model
    from where    device ─▶ source ─▶ estimate ─▶ errand ─▶ meter ─▶ load
    a prompt      template ─▶ chat ─▶ offsets ─▶ tokens
    it runs       capture ─▶ run ─▶ masks ─▶ prefixes ─▶ path
    in numbers    predictions ─▶ update ─▶ steps ─▶ rows ─▶ pairs ─▶ dynamics
    in its place  lowrank ─▶ patch ─▶ lanes ─▶ passage ─▶ derive ─▶ craft
    what it does  trial ─▶ strength ─▶ curves ─▶ account
    it speaks     sample ─▶ generate ─▶ batch ─▶ prepare ─▶ speak
    is it right?  proof ─▶ gradient ─▶ check ─▶ zoo
    out of it     reference ─▶ carry ─▶ factors ─▶ control_vector ─▶ adapter ─▶ reload ─▶ draft ─▶ leave
    all of it     local

Glossary, also the axis names in signatures: ``hidden`` d, the residual stream's width; ``inner`` m, the width
of what the MLP's first matrices produce, all of them stacked; ``tokens`` positions of one row; ``copies``
prefixes of the context that are measured together; ``layers`` the selected layers, ascending; ``vocabulary``
V.

Symbols: z the MLP's input; v the residual stream before the MLP branch; g the input of the down projection; a
subscript C means with the context. ΔW = (W δz) zᵀ/‖z‖², Δb = δ = v_C − v.

Sources: [1] arXiv 2507.16003 (Dherin et al.), [2] arXiv 2511.17864 (Goldwaser et al.), [3] arXiv 2512.11255
(Innocenti, Achour).
"""
