"""Every architecture that the program is proved on: the families, a tiny random model of each, the proof."""
