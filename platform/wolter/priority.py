"""Priority of the server's processes: cheap answers first, then what computes, then what can wait.

Levels are absolute, as a process begins with its parent's: a reader of uploads that came below the
network beside it would never get to a core while networks are busy.
"""

import os

COMPUTES = 5  # networks, readers of uploads, queries
WAITS = 10  # jobs, checks of champions


def lower(niceness: int) -> None:
    """Give this process a niceness, unless it has that or more.

    Args:
        niceness: 0 to 19, more for less of a busy processor.
    """
    os.nice(max(0, niceness - os.nice(0)))
