"""The server of a town: its own, which starts when needed, or one at a URL."""
