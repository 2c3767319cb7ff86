"""Claims that must hold on a model with trained weights; run by ``pytest -m real``, which fetches it once."""
