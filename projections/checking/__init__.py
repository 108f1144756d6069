"""Checks whether what is stored equals the fold of the ledger."""
