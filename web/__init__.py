"""The face for browsers and programs: a town over HTTP, as a REST interface, a live stream, and a page that shows the board.

It stands beside the command line on the same door. Only `tt serve` imports it.
"""

from typing import TYPE_CHECKING

from ledger import open_front_door

if TYPE_CHECKING:
    from web.serving import serve
    from web.towns import ServedTown

__all__ = ["ServedTown", "serve"]

open_front_door(__name__, {"serving": "serve", "towns": "ServedTown"})
