"""C text → a shared library, by whatever compiler the machine has; what was built once is kept between runs.

A library is found again by a hash of everything that its machine code depends on: the text, the header, the command,
and all that the compiler says of itself and of this processor. Nothing but this file ever names one, so nothing from
a model file is loaded.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import itertools
import os
import secrets
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from ...errors import BlocksError
from ...files import write_whole

NAMES = ("cc", "gcc", "clang")
HEADER = Path(__file__).with_name("blocks.h")
FLAGS = ("-std=gnu11", "-O2", "-ftree-vectorize", "-fPIC", "-shared", "-pthread")
VECTORS = "-fvect-cost-model=dynamic"  # with it gcc makes at -O2 the vectors of -O3, in half the time
PROCESSOR = (("-march=native",), ("-mcpu=native",), ())  # how compilers are told to use all that this processor has
SUFFIX = ".dll" if os.name == "nt" else ".so"

SECONDS = 300.0  # that a compiler may take: so many that a busy machine decides nothing
SECONDS_TO_ANSWER = 10.0
DAYS_KEPT = 90  # without use
BYTES_KEPT = 256 << 20


Check = Callable[[ctypes.CDLL], str]


class Unavailable(BlocksError):
    """There is no library, and why. The caller has another way."""


@dataclass(frozen=True)
class Compiler:
    """A compiler that answers: its command, and a digest of what it says of itself and the processor."""

    command: tuple[str, ...]
    version: str
    digest: str

    def __str__(self) -> str:
        return f"{Path(self.command[0]).name} {self.version}"


def load(source: str, *, flags: tuple[str, ...] = (), check: Check | None = None) -> ctypes.CDLL:
    """The library of a C text that says ``#include "blocks.h"``, from the cache if it is there; `flags` are added to
    the compiler's command.

    One text is compiled once, by one thread. What is new goes to the cache after `check`, which says what is wrong
    with it, or nothing. Raises Unavailable, at once and again the second time, where there is no compiler, or it
    fails, hangs, or makes what cannot be loaded or is wrong.
    """
    found = compiler()
    words = [part.encode() for part in (found.digest, *found.command, "", *FLAGS, "", *flags)]
    key = _digest(source.encode(), HEADER.read_bytes(), *words)
    with _locks.setdefault(key, threading.Lock()):
        if key not in _known:
            try:
                _known[key] = _load(key, source, found, flags, check)
            except (Unavailable, OSError) as error:  # OSError: no folder for what is temporary
                _known[key] = str(error)
        known = _known[key]
    if isinstance(known, str):
        raise Unavailable(known)
    return known


_known: dict[str, ctypes.CDLL | str] = {}  # by key, a library or why there is none
_hung: dict[Compiler, str] = {}  # those that ran out of time are not asked again
_locks: dict[str, threading.Lock] = {}
if hasattr(os, "register_at_fork"):  # a lock that another thread held stays locked in the child
    os.register_at_fork(after_in_child=lambda: _locks.clear())


def compiler() -> Compiler:
    """The first that answers of `cc`, `gcc` and `clang`, or the one that the environment names in CC.

    Raises Unavailable saying what would help.
    """
    found = _compiler(os.environ.get("CC", ""), os.environ.get("PATH", os.defpath))
    if isinstance(found, str):
        raise Unavailable(found)
    return found


@functools.cache
def _compiler(wanted: str, path: str) -> Compiler | str:
    """A compiler, or why there is none."""
    silent = []
    for name in [wanted] if wanted else NAMES:
        words = _words(name)
        program = shutil.which(words[0], path=path) if words else None
        if program is None:
            continue
        if sys.platform == "darwin" and program == "/usr/bin/cc" and not _answer(["xcode-select", "-p"]):
            continue  # a stand-in that opens a window to ask for the compiler
        for processor, vectors in itertools.product(PROCESSOR, ((VECTORS,), ())):
            command = (program, *words[1:], *processor, *vectors)
            macros = _answer([*command, "-dM", "-E", "-x", "c", os.devnull])
            if "__VERSION__" in macros:
                digest = _digest(os.path.realpath(program).encode(), macros.encode())
                version = macros.partition("__VERSION__ ")[2].partition("\n")[0].strip('"')
                return Compiler(command, version, digest)
        silent.append(name)
    if silent:
        return f"{' and '.join(silent)} did not answer as a C compiler does"
    named = f"CC names {wanted!r}, which is not there" if wanted else f"there is no C compiler ({', '.join(NAMES)})"
    return f"{named}; to have one: {_advice()}"


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a quotation that does not end
        return [command]


def _advice() -> str:
    if sys.platform == "darwin":
        return "xcode-select --install"
    if os.name == "nt":
        return "install gcc or clang, and put it on the PATH"
    return "apt install gcc, dnf install gcc, or the like"


def _answer(command: Sequence[str]) -> str:
    """What a command writes; nothing, if it fails."""
    try:
        status, out, _ = _run(command, None, SECONDS_TO_ANSWER)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return out if status == 0 else ""


def _run(command: Sequence[str], folder: str | None, limit: float) -> tuple[int, str, str]:
    """Status, output and errors of a command; with all that it started it ends after `limit` seconds."""
    pipe = subprocess.PIPE
    environment = {**os.environ, "LC_ALL": "C"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe,
        text=True, errors="replace", start_new_session=True,
    ) as process:  # fmt: skip
        try:
            out, errors = process.communicate(timeout=limit)
        except BaseException:  # the limit, or Ctrl-C
            if os.name == "posix":
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            raise
    return process.returncode, out, errors


def _load(key: str, source: str, found: Compiler, flags: tuple[str, ...], check: Check | None) -> ctypes.CDLL:
    """The library from the cache; else built, and put there if that can be."""
    folder = cache()
    kept = _kept(folder, key) if folder else None
    if kept is not None:
        return kept
    with tempfile.TemporaryDirectory(prefix="blocks-", ignore_cleanup_errors=True) as place:
        built = _build(place, source, found, flags)
        data = built.read_bytes()
        apart = _aside(folder, data) if folder else None
        try:
            new = ctypes.CDLL(os.fspath(apart or built))
            wrong = check(new) if check else ""
            if wrong:
                raise Unavailable(f"what {found} made is wrong: {wrong}")
            if folder is not None and apart is not None:
                with contextlib.suppress(OSError):
                    apart.replace(folder / f"{key}-{_digest(data)}{SUFFIX}")
                _evict(folder)
        except OSError as error:
            raise Unavailable(f"what {found} made cannot be loaded: {error}") from None
        finally:
            if apart is not None:
                with contextlib.suppress(OSError):  # on Windows it is in use
                    apart.unlink(missing_ok=True)
    return new


def _aside(folder: Path, data: bytes) -> Path | None:
    """A new file in a folder, under a name that no one looks for; None where there is no room, or no right to write."""
    path = folder / f"new-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
    try:
        write_whole(path, data)
    except OSError:
        return None
    return path


def _kept(folder: Path, key: str) -> ctypes.CDLL | None:
    """The library in a folder. Its name holds a digest of its bytes: to load a file that lacks its end would end the
    process."""
    for path in folder.glob(f"{key}-*{SUFFIX}"):
        with contextlib.suppress(OSError):  # another process removed it
            if path.stem == f"{key}-{_digest(path.read_bytes())}":
                library = ctypes.CDLL(os.fspath(path))
                with contextlib.suppress(OSError):  # a folder to read alone
                    os.utime(path)
                return library
            path.unlink()
    return None


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:32]


def _build(place: str, source: str, found: Compiler, flags: tuple[str, ...]) -> Path:
    """The path of a new library in a folder."""
    if found in _hung:
        raise Unavailable(_hung[found])
    text, built = Path(place, "program.c"), Path(place, "program" + SUFFIX)
    command = [*found.command, *FLAGS, *flags, "-I", os.fspath(HEADER.parent), "-o", built.name, text.name, "-lm"]
    try:
        text.write_text(source, encoding="utf-8")
        with _at_work(found):
            status, _, errors = _run(command, place, SECONDS)
    except subprocess.TimeoutExpired:
        _hung[found] = f"{found} took longer than {SECONDS:g} seconds"
        raise Unavailable(_hung[found]) from None
    except OSError as error:
        raise Unavailable(f"{found} could not be run: {error}") from None
    if status or not built.is_file():
        lines = [line for line in errors.splitlines() if line.strip()]
        line = next((line for line in lines if "error" in line.lower()), lines[0] if lines else f"status {status}")
        raise Unavailable(f"{found} failed: {line.strip():.300}")
    return built


@contextlib.contextmanager
def _at_work(found: Compiler) -> Iterator[None]:
    """A line on the terminal, if there is one, for as long as the compiler works."""
    if not sys.stderr.isatty():
        yield
        return
    line = f"blocks: compiling with {found} ..."
    sys.stderr.write(line)
    sys.stderr.flush()
    try:
        yield
    finally:
        sys.stderr.write("\r" + " " * len(line) + "\r")
        sys.stderr.flush()


def cache() -> Path | None:
    """The folder of what was built: in the one that the environment names in BLOCKS_CACHE, else in the user's cache
    folder. None where it cannot be made, or where others than the user can write or own it."""
    folder = Path(os.environ.get("BLOCKS_CACHE") or platformdirs.user_cache_path("blocks")) / "native"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.lstat()
    except (OSError, RuntimeError):
        return None
    if not stat.S_ISDIR(about.st_mode):
        return None
    if os.name == "posix" and (about.st_uid != os.getuid() or about.st_mode & 0o077):
        return None
    return folder


def _evict(folder: Path) -> None:
    """Remove what was not used for long, and beyond a size what was not used for longest."""
    found = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another process removed it
            found.append((path.stat().st_mtime, path.stat().st_size, path))
    total, oldest = 0, time.time() - DAYS_KEPT * 86400
    for used, size, path in sorted(found, reverse=True):
        total += size
        if used < oldest or total > BYTES_KEPT:
            with contextlib.suppress(OSError):
                path.unlink()
