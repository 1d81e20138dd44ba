"""``python -m blocks``: the command line."""

from .cli import main

main()
