"""The rival: a LoRA of a patch's rank and matrices, trained by gradient; see icltui.engine."""
