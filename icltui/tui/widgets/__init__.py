"""The panes, lines and editors of the screen: each shows a value, and posts a message when the user chose something."""
