"""An engine as its users see it: requests, events, options, and what the events of a job add up to."""
