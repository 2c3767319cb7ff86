"""Tasks that a context gives by example or tells in a document, on which patches are examined.

``family`` is the type; ``grammar``, ``meaning``, ``translation``, ``symbols``, ``classes`` and ``manners`` make
families of examples, in the style of the function vectors' tasks (Todd et al., arXiv:2310.15213), ``documents``
of invented facts; ``embedded`` those of the embedded model, from its own lexicon; ``catalogue`` holds
them all. Torch-free.
"""
