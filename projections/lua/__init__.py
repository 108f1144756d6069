"""The scripts of this package, with a typed wrapper for each. Each is imported where it runs."""
