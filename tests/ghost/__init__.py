"""The engine on a device that is not there: models whose tensors claim to lie on ``ghost:0`` and ``ghost:1``."""
