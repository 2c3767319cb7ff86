"""The operating system: child processes and their environment, memory, standard streams, a log of bounded size."""
