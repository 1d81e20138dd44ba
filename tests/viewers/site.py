"""The site of docs/, in Chromium: the pages that step through a cell work inside of the gallery, and five pages shut nobody
out, in light and dark, on a desktop and on a phone. `.ci/more docs` builds it first.

    python -m tests.viewers.site [--pictures FOLDER]
"""

from __future__ import annotations

import functools
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ..site import SITE
from .chromium import CHROMIUM, SIZES, accessible, axe_core, chromium, in_sight, opened

STOPS = """[...document.querySelectorAll('.md-content a[href], .md-content button, .md-content summary, .md-content iframe')]
  .filter((element) => element.checkVisibility())"""
LOOKED_AT = ("", "equation/", "gallery/", "teaching/", "api/")


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing of what it is asked for."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def stepped(tab: Any) -> int:
    """How many positions the frames of a page have, each walked by the keyboard; raises AssertionError where one marks
    nothing, or has other steps than the walk."""
    count = 0
    for number in range(tab.locator("details.steps").count()):
        details = tab.locator("details.steps").nth(number)
        details.locator("summary").focus()
        tab.keyboard.press("Enter")
        element = details.locator("iframe")
        element.scroll_into_view_if_needed()
        frame = element.element_handle().content_frame()
        frame.wait_for_function("() => typeof state !== 'undefined'")
        count += len(in_sight(frame))
        frame.evaluate("go(() => state.go(0))")
        frame.locator("#next").focus()
        for at in range(1, 4):
            tab.keyboard.press("ArrowRight")
            assert frame.evaluate("state.position") == at
        loss = frame.evaluate("state.loss")
        frame.locator('[data-learn="10"]').click()
        frame.wait_for_function("() => state.at === 10")
        assert frame.evaluate("state.loss") < loss
        tab.keyboard.press("Escape")
    return count


def main(asked: list[str]) -> None:
    """Raises AssertionError for what does not hold."""
    if CHROMIUM is None:
        print("docs: the site is not opened, there is no chromium (apt install chromium)")
        return
    pictures = Path(asked[1]) if asked[:1] == ["--pictures"] else None
    with tempfile.TemporaryDirectory() as folder, chromium() as browser, served(SITE) as address:
        axe = axe_core(Path(folder))
        with opened(browser, f"{address}gallery/", "light", "desktop") as tab:
            frames = tab.locator("details.steps iframe").count()
            assert frames == 6, frames
            print(f"docs: {frames} pages in the gallery, {stepped(tab)} positions, each marked in sight")
        found = ""
        for page in LOOKED_AT:
            for scheme in ("light", "dark"):
                for size in SIZES:
                    with opened(browser, address + page, scheme, size) as tab:
                        wide = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
                        assert wide <= 0, f"{page}: {wide} pixels wider than a {size}"
                        if (scheme, size) == ("light", "desktop"):
                            by_keyboard(tab)
                        found = accessible(tab, axe)
                        if pictures:
                            pictures.mkdir(exist_ok=True)
                            tab.screenshot(path=pictures / f"{page.strip('/') or 'start'}-{size}-{scheme}.png")
        print(
            f"docs: {len(LOOKED_AT)} pages by the keyboard alone, light and dark, {' and '.join(SIZES)}: axe: {found}"
        )


def by_keyboard(tab: Any) -> None:
    """The first stop leads past the menu, and the content's links, buttons and frames are all reached."""
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.matches('.md-skip')"), "no way past the menu"
    left = set(range(tab.evaluate(f"{STOPS}.length")))
    assert left
    for _ in range(1500):
        tab.keyboard.press("Tab")
        left.discard(tab.evaluate(f"{STOPS}.indexOf(document.activeElement)"))
        if not left:
            return
    raise AssertionError(f"not reached by the keyboard: {tab.evaluate(f'{STOPS}[{min(left)}].outerHTML')}")


if __name__ == "__main__":
    main(sys.argv[1:])
