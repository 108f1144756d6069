"""How many tasks or events a command shows by default."""

from __future__ import annotations

PAGE_TASKS = 50
AGENT_TASKS = 10
AGENTS_TASKS_TIMES = 10
"""The limit of `tt tasks` in total is this many times the limit of each agent."""
INBOX_TASKS = 20
"""Of each kind."""
BLOCKED_TASKS = 20
BLOCKS_SHOWN = 5
"""Of each blocked task."""
READY_TASKS = 20
TREE_TASKS = 500
TREE_LEVELS = 20
LOG_EVENTS = 50
