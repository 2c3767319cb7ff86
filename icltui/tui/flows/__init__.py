"""What the explorer does, without a screen: its work, its results, its jobs. Nothing here imports Textual.

``work`` (what is asked) ─▶ ``jobs`` (one at a time, newest wins) ─▶ ``results`` (what came back) ─▶ ``explorer``
(all of them, and the facts that a view must be told).
"""
