"""Threads that read their first events at the same moment: msgspec plans how to read each class once, and one thread does it."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROCESSES = 6
_PROGRAM = """
import sys, threading
from ledger import RunMark, TaskStarted, NewEvent, new_command_id, new_task_id
from ledger.recorded_event import decode_events
from ledger.recorded_event import encode_event
sys.setswitchinterval(1e-6)
run = RunMark("0123456789ab", "host", 1)
event = NewEvent(task=new_task_id(), version=1, actor="a", command=new_command_id(), data=TaskStarted(run))
entries = [(b"1-%d" % number, [b"event", b'{"prev":null,' + encode_event(event)[1:]]) for number in range(1, 50)]
line, read = threading.Barrier(16), []
def work():
    line.wait()
    read.append(len(decode_events(entries)))
threads = [threading.Thread(target=work) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert read == [49] * 16, read
"""


@pytest.mark.parametrize("process", range(PROCESSES))
def test_threads_read_their_first_events_together(process: int) -> None:
    """The bug looked like this: a process with several runners ended by itself (a segmentation fault), and a task stayed running."""
    ran = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, ""), process
