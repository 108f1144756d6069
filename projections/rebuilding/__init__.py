"""Writes snapshots and views again from the ledger."""
