"""What a person sees while it runs: a live bar on a terminal, a line a step elsewhere."""

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """One bar over all parts. Use as a context manager around the work."""

    def __init__(self, console: Console, total: float) -> None:
        """`total` is the sum of all that `advance` will be called with."""
        self.console = console
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=total)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, text: str) -> None:
        """Says what is being done now."""
        self._bar.update(self._task, description=text)

    def advance(self, amount: float) -> None:
        self._bar.advance(self._task, amount)

    def say(self, line: str) -> None:
        """Prints a line that stays."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)
