"""How many tasks a command shows where nobody says how many."""

from __future__ import annotations

PAGE_TASKS = 50
TREE_TASKS = 500
TREE_LEVELS = 20
