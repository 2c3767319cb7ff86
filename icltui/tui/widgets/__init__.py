"""What the screens are made of: each widget shows a value, and posts a fact when the user chose something."""
