"""Runs: which process works on a task, and what becomes of tasks whose process is gone."""
