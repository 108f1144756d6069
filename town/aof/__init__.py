"""The append-only files of a server: read without loading them, and what a damaged one still holds."""
