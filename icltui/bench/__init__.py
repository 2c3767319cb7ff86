"""``icltui bench``: how fast the packed measure, decoding through a patch, the screen and a start are.

======================  ==========================================================================
``race``                the packed measure timed against other methods that find its numbers
``methods``             the methods: our loop, hooks, nnsight, TransformerLens, a script with SVD
``model_shapes``        shapes of models by name, with random weights
``model_and_prompts``   the model and the prompts of exact lengths that methods run on
``memory``              the peak memory of each method
``race_table``          the race as text
``decode``              milliseconds per token with and without a patch
``jobs``                the proof at load, verify, and the text after a changed strength
``real``                all of these on the shapes of models that people use
``real_table``          their ratios as text
``gpu``                 larger shapes on a GPU, a line for each finding
``screen``              first paint, key latency, bytes and memory of the explorer
``screen_table``        the screen's results as text
``pseudo_terminal``     runs a program on a terminal and draws what it writes
``key_latency``         finds in the pictures of the screen when a key took effect
``fake_engine``         streams made-up measures at a given rate, for ``screen``
``families``            exams of every patch on families of tasks
``family_records``      their results as lines of a file
``families_table``      their results as text
``start``               seconds from the start of ``icltui measure`` to its result, by part
``start_parts``         the parts, timed in the process that goes through them
``tensor_reads``        bytes of tensors taken out of files, so that a second reading shows
``start_table``         the parts as text
``bare_textual_app``    Textual applications to compare with; ``widget_count`` counts widgets
======================  ==========================================================================

Times hold for the machine and the moment at which they were taken; ratios carry over a little better.
"""
