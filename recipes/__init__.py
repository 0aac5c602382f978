"""Recipes that a user runs from a checkout, one thin main per file."""

import signal
import sys

# `python -m recipes.NAME` has begun, and Ctrl-C ends it without a traceback from the middle of an
# import. `keras_leaky.study.command_line` then takes over.
if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
