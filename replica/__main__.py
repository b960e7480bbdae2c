"""The program `replica`, also ``python -m replica``: Ctrl-C while it loads shows no traceback."""

from __future__ import annotations

import signal
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Load the command line and run it on the arguments of the process."""
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:  # nothing is there yet that would have to be cleaned up
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from replica.cli.main import main as run

    if ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
