"""A day of a town, as commands: what works with one server works with another."""

from __future__ import annotations

import shlex
from typing import Final

from tests.support.tt import Tt

COMMANDS: Final = """
    assign ada 'Fix the login' --alias login --tag web
    task create 'Test the login' --alias test --needs login --due tomorrow
    backlog add 'Write it down' --alias docs --priority 1
    task start login --actor ada
    task note login 'half way' --actor ada
    tasks
    task show login
    task list --tag web --sort due
    task history login
    task tree
    ready --explain
    blocked
    critical-path
    ask docs 'In which language?' --choices en,de
    inbox
    answer docs en
    next bob --start
    task complete login --result Done --actor ada
    task needs docs login
    task unlink docs login
    log
    events
    diff 1
    blame login
    why login
    search login
    stats
    replay --at 3
    prime --agent bob
    undo docs
    annotate 1 'The first'
    work eve --once -- true
    reclaim
    export out.jsonl
    save
    verify
    rebuild
    migrate
    projector --once
    doctor
    status
    verify
"""


def live_a_day(tt: Tt) -> None:
    """Each command ends with code 0, but `tt doctor`, which may find something bad in a server that others set up."""
    for line in map(str.strip, COMMANDS.strip().splitlines()):
        ran = tt(*shlex.split(line))
        assert ran.code in ((0, 1) if line == "doctor" else (0,)), f"{line}: {ran}"
