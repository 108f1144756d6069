"""Agents at work: claim a task, run its program, keep what it said."""
