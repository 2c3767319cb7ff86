"""From a name to a model in memory: its files, its checks, its device and dtype, its sites."""
