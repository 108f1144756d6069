"""What is kept for the user, in ~/.tt: towns, grants, passwords, settings."""
