"""An engine as its users see it: what may be asked, what it answers, and what the answers add up to."""
