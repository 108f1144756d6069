"""Snapshots and views written again from the ledger."""
