"""The embedded model: a small Qwen3 trained to learn in context, with its corpus, trainer and score.

``corpus`` writes the documents, ``train`` makes the weights from them, ``evaluate`` scores them on
mappings that no training document held. The program imports this package only to train or to score;
the model itself is an ordinary Hugging Face folder.
"""
