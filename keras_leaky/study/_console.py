"""Where a command line prints."""

import os
import sys

from rich.console import Console


class SteadyConsole(Console):
    """A console that falls silent when its reader goes away (`| head`): the run goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def make_console() -> SteadyConsole:
    """Colors text alone, and leaves the ends of lines to the terminal."""
    return SteadyConsole(highlight=False, soft_wrap=True)
