"""Plans: tasks in a file that goes through git, and the town made as the file says."""
