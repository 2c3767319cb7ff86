"""``icltui bench``: how fast the packed measure, decoding through a patch, and the screen are.

======================  ==========================================================================
``race``                the packed measure timed against other methods to the same numbers
``methods``             those methods: our loop, hooks, nnsight, TransformerLens, a script with SVD
``model_and_prompts``   the model and the prompts of exact lengths that they run on
``memory``              the peak memory of each
``race_table``          the race as text
``decode``              milliseconds per token with and without a patch
``screen``              first paint, key latency, bytes and memory of the explorer
``screen_table``        the same as text
``pseudo_terminal``     runs a program on a terminal and draws what it writes
``key_latency``         finds in those pictures when a key took effect
``fake_engine``         streams made-up measures at a given rate, for ``screen``
``bare_textual_app``    a Textual application to compare with; ``widget_count``, how large
======================  ==========================================================================

Times hold for the machine and the moment at which they were taken; ratios hold a little longer.
"""
