"""Values as lines of text, colours and pictures; no widget, no state."""
