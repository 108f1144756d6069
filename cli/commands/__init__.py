"""The commands of `tt`, a file for each group."""
