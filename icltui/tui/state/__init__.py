"""What the explorer knows and decides, without a screen. Nothing here imports Textual.

``run_settings`` (what is asked) ─▶ ``jobs`` (one at a time, newest wins) ─▶ ``results`` (what came back) and
``engine_status`` (what the engine says of itself) ─▶ ``session_state`` (all of it, and whether it is saved) ─▶
``controller`` (what follows from what) ─▶ ``explorer`` (what the user does).
"""
