"""The machine that runs an experiment: items of work on loaded models, rows in a folder, resumable at any moment."""
