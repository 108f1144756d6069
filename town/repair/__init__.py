"""Damaged files of a town's server: read as far as they can be, and put right on a copy."""
