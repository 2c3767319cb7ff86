"""What the explorer does, without a screen: its work, its results, its jobs. Nothing here imports Textual.

``work`` (what is asked) ─▶ ``jobs`` (one at a time, newest wins) ─▶ ``results`` (what came back) and ``journal`` (what
the engine says of itself) ─▶ ``sheet`` (what lies before the user) ─▶ ``inquiry`` (what follows from what) ─▶
``explorer`` (what the user does).
"""
