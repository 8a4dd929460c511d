"""The command line, ``vpp-sim``: what an analyst types, and how mistakes are answered.

Commands are thin: they read options, call one function of the library, and print. Everything heavy is imported inside
the command that needs it, so that ``--help`` answers at once. A user's mistake is answered by one line on standard
error, ``error: file:line: key = value; what is allowed``, and exit status 2, without a traceback; a run that fails
exits 1, an interrupt 130. Turned down: printing from the library (a progress bar is nobody's business below), and
options for what belongs in a scenario (``--set`` reaches every key of it).
"""

from vpp_sim.cli.main import main

__all__ = ["main"]
