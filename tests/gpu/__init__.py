"""Checks that need a GPU: ``pytest -m gpu``; they need no network, and nothing but the engine's own libraries.

``ICLTUI_GPU_TESTS=cpu pytest -m gpu`` tries the checks themselves on a CPU, on models of the same build that are tiny.
"""
