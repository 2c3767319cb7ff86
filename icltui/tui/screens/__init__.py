"""The screens: the explorer itself, and the dialogs that open over it."""
