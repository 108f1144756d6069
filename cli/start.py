"""Where the program `tt` begins: stop signals are kept while the rest is imported, which takes a while."""

from __future__ import annotations

from cli.signals import keep_stop_signals


def main() -> None:
    """As `cli.main.main`. A stop signal before the command runs ends it as one right after, without a traceback."""
    keep_stop_signals()
    from cli.main import main as run  # noqa: PLC0415 - what takes a while

    run()
