"""The command line in this process: what a test has no need of a new one for.

That it works as a process of its own (signals, pipes, terminals without letters) is tested in tests/test_cli.py and
tests/test_settings.py."""

import contextlib
import io
import sys
import warnings
from dataclasses import dataclass

from blocks.cli import main


@dataclass
class Done:
    """What `subprocess.run` would give."""

    returncode: int
    stdout: str
    stderr: str


def blocks(*arguments: object, cwd=None) -> Done:
    """``blocks ARGUMENTS`` in a folder."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["blocks", *map(str, arguments)]
    code: object = 0
    with contextlib.ExitStack() as here:
        here.enter_context(contextlib.redirect_stdout(out))
        here.enter_context(contextlib.redirect_stderr(err))
        here.enter_context(contextlib.chdir(cwd or "."))
        here.enter_context(warnings.catch_warnings())
        warnings.simplefilter("default")
        warnings.showwarning = lambda message, *_: print(f"Warning: {message}", file=err)
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        finally:
            sys.argv = before
    return Done(code if isinstance(code, int) else int(code is not None), out.getvalue(), err.getvalue())
