"""One query after several contexts: what each part adds, how two parts act together, and a fixed patch beside them."""
