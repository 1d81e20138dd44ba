"""Chromium, as the pages are looked at: driven by Playwright, with axe-core, which looks for what shuts people out, from the
npm registry.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
WALK = """() => {
  const out = [];
  const inSight = (ring) => {
    const box = byId("figure").getBoundingClientRect(), r = ring.getBoundingClientRect();
    return r.width > 8 && r.left >= box.left && r.top >= box.top && r.right <= Math.min(box.right, innerWidth) && r.bottom <= Math.min(box.bottom, innerHeight);
  };
  const flat = (element) => { const copy = element?.cloneNode(true); copy?.querySelectorAll("sup").forEach((s) => s.prepend("^")); return copy?.textContent ?? ""; };
  for (let i = 0; i < state.stops.length; i++) {
    go(() => state.go(i));
    const line = state.current, grid = document.querySelector("#now-body > .grid");
    out.push({ symbol: i ? line.symbol : "", live: byId("live").textContent, hash: decodeURIComponent(location.hash),
      cells: i && grid ? [...grid.querySelectorAll("td")].map((td) => td.title) : [],
      numbers: i ? flat(document.querySelector("#now-body .numbers")) : "",
      marked: [...document.querySelectorAll(".ring")].filter(inSight).length,
      unknown: document.querySelectorAll(".chip.unknown").length, wide: document.documentElement.scrollWidth - innerWidth });
  }
  return out;
}"""


@contextmanager
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, file: Path | str, scheme: str, size: str) -> Iterator[Any]:
    """A page, a file or an address, in a tab; raises AssertionError for a request to elsewhere, an error and a
    warning."""
    address = file.as_uri() if isinstance(file, Path) else file
    own = (
        ("file:", "blob:")
        if isinstance(file, Path)
        else (f"{address.partition('//')[0]}//{urlsplit(address).netloc}/", "about:")
    )
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce", accept_downloads=True
    )
    tab, wrong = context.new_page(), []
    tab.on("console", lambda m: wrong.append(f"{m.type}: {m.text}") if m.type in ("error", "warning") else None)
    tab.on("pageerror", lambda e: wrong.append(f"error: {e}"))
    tab.on("dialog", lambda d: (wrong.append(f"dialog: {d.message}"), d.dismiss()))
    tab.on("request", lambda r: wrong.append(f"request: {r.url}") if not r.url.startswith(own) else None)
    tab.goto(address)
    yield tab
    assert not wrong, wrong
    context.close()


def until(tab: Any, holds: str) -> None:
    """Wait until something holds; the page itself may not evaluate texts."""
    for _ in range(1200):
        if tab.evaluate(holds):
            return
        tab.wait_for_timeout(100)
    raise AssertionError(f"it does not come to {holds}")


def in_sight(tab: Any) -> list[dict[str, Any]]:
    """The positions of the walk. At each something is marked in the figure, in sight, and nothing is wider than the
    screen."""
    stops: list[dict[str, Any]] = tab.evaluate(WALK)
    for number, stop in enumerate(stops):
        assert stop["marked"], f"at {number}, {stop['symbol'] or 'the start'}, nothing in sight is marked"
        assert stop["wide"] <= 0, f"at {number}, {stop['symbol']}, wider than the screen"
    return stops


def accessible(tab: Any, axe: str | None) -> str:
    """What axe-core finds; raises AssertionError if it finds something."""
    if axe is None:
        return "not there (npm)"
    tab.evaluate(f"(() => {{ {axe} }})()")
    found = tab.evaluate(
        "axe.run().then((r) => r.violations.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ')}`))"
    )
    assert not found, "\n".join(found)
    return "nothing"


def axe_core(folder: Path) -> str | None:
    """The text of axe-core, from the npm registry; None without npm."""
    if not shutil.which("npm"):
        return None
    made = subprocess.run(["npm", "pack", "axe-core@4", "--silent"], cwd=folder, capture_output=True, text=True)
    if made.returncode:
        return None
    subprocess.run(["tar", "xzf", made.stdout.split()[-1]], cwd=folder, check=True)
    return (folder / "package" / "axe.min.js").read_text(encoding="utf-8")
