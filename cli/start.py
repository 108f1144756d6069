"""The entry point of `tt`: it holds back stop signals while the rest is imported, which takes a while."""

from __future__ import annotations

from cli.signals import keep_stop_signals


def main() -> None:
    """Like `cli.main.main`. A stop signal during the imports ends the program without a traceback, as a later one does."""
    keep_stop_signals()
    from cli.main import main as run  # noqa: PLC0415 - the slow part

    run()
