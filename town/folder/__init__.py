"""The folder of a town: found, and its files read."""
