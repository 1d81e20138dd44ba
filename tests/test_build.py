"""C text → library: the cache, and compilers, folders and processes that misbehave."""

import os
import shutil
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from blocks.compile.native import build

SOURCE = '#include "blocks.h"\nint answer(void) { return ANSWER; }\n'
REAL = next((path for path in map(shutil.which, build.NAMES) if path), None)
needs_compiler = pytest.mark.skipif(REAL is None, reason="no C compiler on the PATH")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="the compilers of these tests are shell scripts")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder with a header and a cache of its own, and nothing known from before."""
    (tmp_path / "blocks.h").write_text("#define ANSWER 42\n")
    monkeypatch.setattr(build, "HEADER", tmp_path / "blocks.h")
    monkeypatch.setenv("BLOCKS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    forget(monkeypatch)
    yield tmp_path
    build._compiler.cache_clear()


def forget(monkeypatch):
    """As in a new process."""
    for name in ("_known", "_hung", "_locks"):
        monkeypatch.setattr(build, name, {})
    build._compiler.cache_clear()


def fake(place, body, name="cc", answers=True, version="1.0"):
    """The path of a compiler that notes each compilation in the file `calls`, and then does what `body` says."""
    path = place / "bin" / name
    path.parent.mkdir(exist_ok=True)
    answer = f"""echo '#define __VERSION__ "{version}"'""" if answers else "exit 1"
    script = f"""\
        #!/bin/sh
        case "$*" in *-dM*) {answer}; exit 0;; esac
        echo compiled >> {place}/calls
        {body}
        """
    path.write_text(textwrap.dedent(script))
    path.chmod(0o700)
    return str(path)


def calls(place):
    return (place / "calls").read_text().count("compiled") if (place / "calls").exists() else 0


def kept(place):
    return sorted(p.name for p in (place / "cache" / "native").glob("*"))


# --- what is built, and how often ----------------------------------------------------------------


@needs_compiler
def test_a_text_is_compiled_once_and_found_again_in_a_new_process(place, monkeypatch) -> None:
    monkeypatch.setenv("CC", fake(place, f'exec {REAL} "$@"'))
    assert build.load(SOURCE).answer() == 42
    assert build.load(SOURCE) is build.load(SOURCE) and calls(place) == 1
    assert len(kept(place)) == 1
    forget(monkeypatch)
    assert build.load(SOURCE).answer() == 42 and calls(place) == 1


@needs_compiler
@pytest.mark.parametrize("what", ["source", "header", "flags", "version", "command"])
def test_whatever_the_machine_code_depends_on_makes_another_library(place, monkeypatch, what) -> None:
    compile_it = f'exec {REAL} "$@"'
    monkeypatch.setenv("CC", fake(place, compile_it))
    build.load(SOURCE)
    forget(monkeypatch)
    source, flags, answer = SOURCE, (), 42
    if what == "source":
        source, answer = SOURCE.replace("ANSWER", "ANSWER + 1"), 43
    elif what == "header":
        build.HEADER.write_text("#define ANSWER 7\n")
        answer = 7
    elif what == "flags":
        flags = ("-O1",)
    elif what == "version":
        fake(place, compile_it, version="1.1")
    else:
        monkeypatch.setenv("CC", fake(place, compile_it, name="other"))
    assert build.load(source, flags=flags).answer() == answer
    assert calls(place) == 2 and len(kept(place)) == 2


@needs_compiler
def test_flags_reach_the_compiler() -> None:
    source = '#include "blocks.h"\nint answer(void) { return ANSWER + EXTRA; }\n'
    assert build.load(source, flags=("-DEXTRA=8",)).answer() == 50


@needs_compiler
def test_what_is_new_is_checked_before_it_is_kept(place, monkeypatch) -> None:
    monkeypatch.setenv("CC", fake(place, f'exec {REAL} "$@"'))
    seen = []

    def check(library):
        assert kept(place)[0].startswith("new-") and len(kept(place)) == 1
        seen.append(library.answer())
        return "" if seen[-1] == 42 else f"it answers {seen[-1]}"

    assert build.load(SOURCE, check=check).answer() == 42
    assert len(kept(place)) == 1
    forget(monkeypatch)
    build.load(SOURCE, check=check)
    assert seen == [42]
    (place / "cache" / "native" / kept(place)[0]).unlink()
    build.HEADER.write_text("#define ANSWER 41\n")
    for _ in range(2):
        with pytest.raises(build.Unavailable, match=r"what cc 1.0 made is wrong: it answers 41"):
            build.load(SOURCE, check=check)
    assert seen == [42, 41] and kept(place) == [] and calls(place) == 2


@needs_compiler
def test_a_check_that_fails_leaves_nothing(place) -> None:
    with pytest.raises(ZeroDivisionError):
        build.load(SOURCE, check=lambda library: 1 / 0)
    assert kept(place) == [] and build.load(SOURCE).answer() == 42


@needs_compiler
def test_threads_that_want_one_library_wait_for_one_compilation(place, monkeypatch) -> None:
    monkeypatch.setenv("CC", fake(place, f'sleep 0.1; exec {REAL} "$@"'))
    got = []
    threads = [threading.Thread(target=lambda: got.append(build.load(SOURCE))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in got}) == 1 and calls(place) == 1


def in_a_child():
    """A process that builds the library and ends with its answer; where to wait for it."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(build.load(SOURCE).answer())
        finally:
            os._exit(1)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@needs_compiler
def test_two_processes_at_once_build_one_whole_library(place, monkeypatch) -> None:
    monkeypatch.setenv("CC", fake(place, f'sleep 0.2; exec {REAL} "$@"'))
    waits = [in_a_child(), in_a_child()]
    assert [wait() for wait in waits] == [42, 42]
    assert len(kept(place)) == 1 and calls(place) == 2


@needs_compiler
def test_a_child_of_a_fork_does_not_wait_for_a_lock_of_its_parent(place, monkeypatch) -> None:
    monkeypatch.setenv("CC", fake(place, f'sleep 0.3; exec {REAL} "$@"'))
    thread = threading.Thread(target=build.load, args=(SOURCE,))
    thread.start()
    while calls(place) == 0:
        time.sleep(0.01)
    wait = in_a_child()
    thread.join()
    assert wait() == 42


# --- compilers that misbehave --------------------------------------------------------------------


def refused(place, source=SOURCE):
    with pytest.raises(build.Unavailable) as raised:
        build.load(source)
    assert not (place / "cache" / "native").exists() or kept(place) == []
    return str(raised.value)


def test_no_compiler_on_the_path(place, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(place))
    assert refused(place).startswith("there is no C compiler (cc, gcc, clang); to have one: ")
    for name in ("tcc", "gcc '"):
        monkeypatch.setenv("CC", name)
        assert f"CC names {name!r}, which is not there" in refused(place)


def test_a_compiler_that_fails_is_asked_once_for_one_text(place, monkeypatch) -> None:
    monkeypatch.setenv(
        "CC", fake(place, "echo 'In file included'; echo 'program.c:2: error: no such thing' >&2; exit 1")
    )
    assert refused(place) == refused(place) == "cc 1.0 failed: program.c:2: error: no such thing"
    assert calls(place) == 1
    assert "no such thing" in refused(place, SOURCE + "\n") and calls(place) == 2


@pytest.mark.parametrize(("body", "reason"), [
    ("exit 0", "failed: status 0"),
    ("exit 3", "failed: status 3"),
    ("echo rubbish > program.so", "cannot be loaded"),
    ("kill -9 $$", "failed: status -9"),
])  # fmt: skip
def test_a_compiler_that_makes_nothing_of_use(place, monkeypatch, body, reason) -> None:
    monkeypatch.setenv("CC", fake(place, body))
    with pytest.raises(build.Unavailable, match=reason):
        build.load(SOURCE)


def test_a_compiler_that_hangs_is_ended_with_its_children_and_not_asked_again(place, monkeypatch) -> None:
    monkeypatch.setenv("CC", fake(place, f"sleep 60 & echo $! > {place}/child; sleep 60"))
    monkeypatch.setattr(build, "SECONDS", 0.3)
    assert refused(place) == "cc 1.0 took longer than 0.3 seconds"
    child = Path(f"/proc/{(place / 'child').read_text().strip()}/stat")
    for _ in range(400):  # a busy machine takes its time to end it
        ended = not child.exists() or child.read_text().split()[2] == "Z"
        if ended:
            break
        time.sleep(0.05)
    assert ended
    assert "took longer" in refused(place, SOURCE + "\n") and calls(place) == 1


def test_a_compiler_that_does_not_answer_leaves_the_next_a_chance(place, monkeypatch) -> None:
    monkeypatch.setenv("PATH", f"{place / 'bin'}")
    fake(place, "exit 1", "cc", answers=False)
    assert refused(place) == "cc did not answer as a C compiler does"
    fake(place, "exit 1", "gcc", version="9.9")
    build._compiler.cache_clear()
    assert str(build.compiler()) == "gcc 9.9"


def test_the_command_in_cc_may_have_options(place, monkeypatch) -> None:
    monkeypatch.setenv("CC", fake(place, "exit 1") + " -DONE")
    assert build.compiler().command[1:] == ("-DONE", "-march=native", build.VECTORS)


@pytest.mark.parametrize(
    ("unknown", "options"),
    [("march", ("-mcpu=native", build.VECTORS)), ("vect", ("-march=native",)), ("native*|*vect", ())],
)
def test_a_compiler_is_told_what_it_takes(place, monkeypatch, unknown, options) -> None:
    path = fake(place, "exit 1")
    refusing = f'case "$*" in *{unknown}*) exit 1;; esac\ncase'
    Path(path).write_text(Path(path).read_text().replace("case", refusing, 1))
    monkeypatch.setenv("CC", path)
    assert build.compiler().command[1:] == options


def test_a_mac_without_the_tools_is_not_asked_to_open_a_window(place, monkeypatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(shutil, "which", lambda name, path: f"/usr/bin/{name}" if name == "cc" else None)
    ran = []
    monkeypatch.setattr(build, "_answer", lambda command: ran.append(command[0]) or "")
    assert "xcode-select --install" in refused(place) and ran == ["xcode-select"]


# --- folders that misbehave ----------------------------------------------------------------------


def make_file(place):
    (place / "cache").write_text("")


def make_open(place):
    (place / "cache" / "native").mkdir(parents=True)
    (place / "cache" / "native").chmod(0o770)


def make_link(place):
    (place / "elsewhere").mkdir(mode=0o700)
    (place / "cache").mkdir()
    (place / "cache" / "native").symlink_to(place / "elsewhere")


@needs_compiler
@pytest.mark.parametrize("spoil", [make_file, make_open, make_link])
def test_without_a_private_folder_a_library_lives_as_long_as_the_process(place, monkeypatch, spoil) -> None:
    spoil(place)
    monkeypatch.setattr(build.tempfile, "tempdir", str(place / "temporary"))
    (place / "temporary").mkdir()
    monkeypatch.setenv("CC", fake(place, f'exec {REAL} "$@"'))
    assert build.cache() is None
    library = build.load(SOURCE)
    assert library.answer() == 42 and build.load(SOURCE) is library and calls(place) == 1
    assert not list((place / "temporary").iterdir()) and not list(place.glob("*/native/*.so"))


@needs_compiler
def test_a_folder_that_another_user_owns_is_not_used(place, monkeypatch) -> None:
    assert build.load(SOURCE).answer() == 42 and len(kept(place)) == 1
    forget(monkeypatch)
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    monkeypatch.setenv("CC", fake(place, "exit 1"))
    assert build.cache() is None
    with pytest.raises(build.Unavailable, match="failed"):
        build.load(SOURCE)


@needs_compiler
@pytest.mark.parametrize("number", ["ENOSPC", "EROFS", "EACCES"])
def test_a_full_or_read_only_cache_is_no_hindrance(place, monkeypatch, number) -> None:
    def refuse(path, data):
        raise OSError(getattr(__import__("errno"), number), "no")

    monkeypatch.setattr(build, "write_whole", refuse)
    assert build.load(SOURCE).answer() == 42 and kept(place) == []


@needs_compiler
def test_a_folder_to_read_alone_still_gives_what_it_has(place, monkeypatch) -> None:
    monkeypatch.setenv("CC", fake(place, f'exec {REAL} "$@"'))
    build.load(SOURCE)
    forget(monkeypatch)

    def refuse(path):
        raise PermissionError(path)

    monkeypatch.setattr(os, "utime", refuse)
    assert build.load(SOURCE).answer() == 42 and calls(place) == 1


def test_a_temporary_folder_that_is_full_says_so(place, monkeypatch) -> None:
    def refuse(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("CC", fake(place, "exit 0"))
    monkeypatch.setattr(Path, "write_text", refuse)
    assert "No space left on device" in refused(place)
    monkeypatch.setattr(build.tempfile, "TemporaryDirectory", refuse)
    assert "No space left on device" in refused(place, SOURCE + "\n")


@needs_compiler
@pytest.mark.parametrize("left", [0, 16, 0.5, 0.9])
def test_a_broken_library_in_the_cache_is_built_anew(place, monkeypatch, left) -> None:
    with monkeypatch.context() as unloaded:
        unloaded.setattr(build.ctypes, "CDLL", Path)
        build.load(SOURCE)
    (path,) = (place / "cache" / "native").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole) if isinstance(left, float) else left)])
    forget(monkeypatch)
    assert build.load(SOURCE).answer() == 42
    assert [p.stat().st_size for p in path.parent.iterdir()] == [len(whole)]


@needs_compiler
def test_what_is_not_used_for_long_goes_and_the_oldest_beyond_a_size(place, monkeypatch) -> None:
    build.load(SOURCE)
    folder = place / "cache" / "native"
    assert folder.stat().st_mode & 0o777 == 0o700
    (first,) = folder.glob("*")
    size, now = first.stat().st_size, time.time()
    for name, days in {"old": 91, "younger": 5, "young": 1}.items():
        (folder / name).write_bytes(bytes(size))
        os.utime(folder / name, (now - days * 86400,) * 2)
    os.utime(first, (now - 89 * 86400,) * 2)
    forget(monkeypatch)
    build.load(SOURCE)  # used again: as good as new
    monkeypatch.setattr(build, "BYTES_KEPT", size * 4 - 1)
    build.load(SOURCE + "\n")
    assert "old" not in kept(place) and {first.name, "young"} <= set(kept(place)) and "younger" not in kept(place)


def test_the_cache_is_the_users(place, monkeypatch) -> None:
    monkeypatch.delenv("BLOCKS_CACHE")
    monkeypatch.setattr(build.platformdirs, "user_cache_path", lambda name: place / "home" / name)
    assert build.cache() == place / "home" / "blocks" / "native"


@needs_compiler
def test_a_compilation_shows_on_a_terminal_that_it_is_at_work(monkeypatch, capsys) -> None:
    build.load(SOURCE)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    build.load(SOURCE + "\n")
    said = capsys.readouterr().err
    assert said.startswith("blocks: compiling with ") and said.endswith("\r") and said.split("\r")[1].isspace()
