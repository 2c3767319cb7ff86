"""What the operating system lends: child processes, the three streams of a command, a log within bounds."""
