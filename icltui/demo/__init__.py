"""The embedded model: a small Qwen3 trained to learn in context, with its corpus, trainer and score.

``corpus`` writes the documents, ``train`` makes the weights from them, ``evaluate`` scores them on
mappings that no training document held. Nothing here is imported unless the demo is trained or scored;
the model itself is an ordinary Hugging Face folder.
"""
