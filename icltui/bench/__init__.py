"""The benchmark: what the packed measure costs, against every other way to the same numbers, and what a patch costs
while text is generated; and what the screen costs at the terminal.

Enters: :class:`~icltui.bench.workload.Settings`. Leaves: ratios, all from one run. Data flows one way::

    subject ─▶ ways ─▶ race ─▶ table
    a model    ours,    times,   text
    prompts    others   memory

    subject ─▶ decode ─▶ decode_table
               times      text

    bare, rehearsal ─▶ terminal ─▶ screen ─▶ screen_table
    programs           bytes       figures   text

Not a test: times say something only about the machine and the moment that they were taken on, ratios a little more.
"""
