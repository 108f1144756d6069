"""Receipts: what this machine was told of a town's ledger, kept in the user's own folder, so that a loss is noticed."""
