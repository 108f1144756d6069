"""Search: the texts of tasks, the words in them, and an index that finds what a scan finds, sooner. Pure."""
