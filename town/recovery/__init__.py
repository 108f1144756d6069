"""Recovery: events that were acknowledged on this machine and are gone from the server are found, and appended again."""
