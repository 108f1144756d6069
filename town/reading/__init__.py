"""Questions about a town, now and at any moment."""
