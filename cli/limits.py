"""How many tasks a command shows where nobody says how many."""

from __future__ import annotations

PAGE_TASKS = 50
AGENT_TASKS = 10
AGENTS_TASKS_TIMES = 10
"""In all, `tt tasks` shows so many times as many as of each agent."""
TREE_TASKS = 500
TREE_LEVELS = 20
