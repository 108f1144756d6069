"""Exports: the whole ledger, and its events for spreadsheets, process mining and other programs."""
