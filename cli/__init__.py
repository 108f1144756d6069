"""Words in, words out: `tt`. It decides nothing; every command is a verb of `town.Town`."""
