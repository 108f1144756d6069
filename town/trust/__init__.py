"""What a folder may lead to, and what is refused until somebody allowed it."""
