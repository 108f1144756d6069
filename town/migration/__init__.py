"""Tasks from before the ledger: found, read in every format, adopted, and given back."""
