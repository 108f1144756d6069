"""What goes out: the ledger whole, and its events for spreadsheets, process mining and other programs."""
