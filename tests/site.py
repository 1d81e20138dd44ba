"""The site of docs/, built by Zensical, and what must hold of it: `.ci/more docs`.

No code of a page failed (the builder leaves a traceback in the page, and says that all is well); nothing is fetched from
elsewhere; links within the site lead somewhere; every public name has its entry.
"""

from __future__ import annotations

import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import blocks as bk

DOCS = Path(__file__).parents[1] / "docs"
SITE = DOCS / "site"
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "use": "href"}


class Reader(HTMLParser):
    """What a page fetches, where it leads, the places in it, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self.places |= {known[name] for name in ("id", "name") if known.get(name)}
        if tag == "a" and "href" in known:
            self.links.append(known["href"])
        elif FETCHED.get(tag) in known and known.get("rel") not in ("canonical", "prev", "next"):
            self.fetched.append(known[FETCHED[tag]])

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def faults(pages: dict[Path, Reader]) -> list[str]:
    """What does not hold."""
    found = []
    for path, page in pages.items():
        name, text = path.relative_to(SITE), "".join(page.text)
        if "Traceback (most recent call last)" in text:
            found.append(f"{name}: code of the page failed")
        found += [f"{name}: {there} is fetched from elsewhere" for there in page.fetched if urlsplit(there).netloc]
        for link in [*page.links, *page.fetched]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or name.name == "404.html":
                continue
            there = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
            there = there / "index.html" if there.is_dir() else there
            if not there.is_file():
                found.append(f"{name}: {link} leads nowhere")
            elif parts.fragment and there in pages and unquote(parts.fragment) not in pages[there].places:
                found.append(f"{name}: there is no {link}")
    entries = pages[SITE / "api" / "index.html"].places
    found += [f"api: no entry for {name}" for name in bk.__all__ if not any(e.endswith(f".{name}") for e in entries)]
    return found


def main(builder: str = "zensical") -> int:
    """Build it, by Zensical or, the way back, by MkDocs with Material; both clean, and read one configuration."""
    start = time.perf_counter()
    command = [sys.executable, "-m", builder, "build", "--clean", "-f", str(DOCS / "mkdocs.yml")]
    done = subprocess.run(command, capture_output=True, text=True)
    took = time.perf_counter() - start
    if done.returncode:
        print(done.stdout + done.stderr)
        return done.returncode
    pages = {path: read(path) for path in sorted(SITE.rglob("*.html"))}
    found = faults(pages)
    print("\n".join(found))
    size = sum(path.stat().st_size for path in SITE.rglob("*") if path.is_file())
    print(
        f"docs: {builder}: {len(pages)} pages in {took:.0f} s, {size / 1e6:.1f} MB, {len(found)} faults; {SITE}/index.html"
    )
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
