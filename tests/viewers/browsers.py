"""Every figure in Chromium and in Firefox, in a page 830 pixels wide: each text in the middle of its shape and inside of
it, none on another one or on an arrowhead, no wire close to a shape that it does not enter, no letter under 9 pixels.

    python -m tests.viewers.browsers [BROWSER …]

The page measures itself and sends what it found to a server of this process, so no driver is needed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from blocks.draw.figure import Figure

from .pictures import pictures

WIDTH = 830  # pixels: a README on GitHub
MIDDLE, CLOSE = 0.5, 4.0  # points
LEGIBLE = 9.0  # pixels
Box = tuple[float, float, float, float]  # left, top, right, bottom
WAIT = 180.0  # seconds for a browser
BROWSERS = {  # what it may be called, and how it is told to show nothing
    "chromium": (
        ("chromium", "chromium-browser", "google-chrome"),
        ("--headless=new", "--no-sandbox", "--disable-gpu", "--user-data-dir={profile}"),
    ),
    "firefox": (("firefox", "firefox-esr"), ("--headless", "--no-remote", "--profile", "{profile}")),
}


def main(wanted: list[str]) -> None:
    """Raises AssertionError for what a browser shows wrongly."""
    for name in wanted:
        assert name in BROWSERS, f"{name}: there are {', '.join(BROWSERS)}"
    installed = {}
    for name in wanted or BROWSERS:
        installed[name] = next(filter(None, map(shutil.which, BROWSERS[name][0])), None)
        if not installed[name]:
            print(f"{name}: skipped, it is not installed (apt install chromium firefox-esr)")
    drawn = dict(pictures())
    wrong: list[str] = []
    for browser, command in installed.items():
        if not command:
            continue
        shown = measured([command, *BROWSERS[browser][1]], drawn)
        assert set(shown) == set(drawn), (browser, set(drawn) - set(shown))
        faults = [f"{browser}, {name}: {fault}" for name in drawn for fault in judged(drawn[name], shown[name])]
        texts = sum(len(figure["texts"]) for figure in shown.values())
        sizes = {name: min(min(t["sizes"]) * f["scale"] for t in f["texts"]) for name, f in shown.items()}
        small = [name for name, size in sizes.items() if size < LEGIBLE]
        faults += [f"{browser}, {name}: a letter has {sizes[name]:.1f} pixels" for name in small]
        smallest = min(sizes.values())
        print(
            f"{browser}: {len(shown)} figures, {texts} texts, the smallest {smallest:.1f} pixels; {len(faults)} faults"
        )
        wrong += faults
    assert not wrong, "\n".join(wrong)


def measured(command: list[str], drawn: dict[str, Figure]) -> dict[str, Any]:
    """What a browser found on a page with all figures."""
    body = "".join(
        f'<div id="{name}" style="width:{WIDTH}px">{figure.render("svg").decode()}</div>'
        for name, figure in drawn.items()
    )
    script = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")
    page = f"<!doctype html><html><meta charset='utf-8'><body>{body}<script>{script}</script></body></html>".encode()
    found: dict[str, Any] = {}
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page)

        def do_POST(self) -> None:
            found.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            done.set()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        started = [part.format(profile=profile) for part in command]
        address = f"http://127.0.0.1:{server.server_port}/"
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen([*started, address], **silent)  # type: ignore[call-overload]
        try:
            assert done.wait(WAIT), f"{command[0]} found nothing within {WAIT:.0f} s"
        finally:
            process.terminate()
            process.wait(30)
            server.shutdown()
    return found


def judged(figure: Figure, shown: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a figure as a browser shows it."""
    texts = shown["texts"]
    for text in texts:
        if text["form"] and not text["frame"]:
            yield from _in_its_shape(text)
    for i, one in enumerate(texts):
        for other in texts[i + 1 :]:
            if _meet(_tight(one), _tight(other)):
                yield f"{one['said']!r} lies on {other['said']!r}"
        for head in shown["heads"]:
            if _meet(_tight(one), head):
                yield f"{one['said']!r} lies on an arrowhead"
    yield from _close(figure, shown["wires"])


def _in_its_shape(text: dict[str, Any]) -> Iterator[str]:
    (x, y), (x0, y0, x1, y1) = text["middle"], _tight(text)
    left, top, right, bottom = text["form"]
    aside, up = x - (left + right) / 2, y - (top + bottom) / 2
    if abs(aside) > MIDDLE or (text["alone"] and abs(up) > MIDDLE):
        yield f"{text['said']!r} stands {aside:.2f}, {up:.2f} beside the middle of its shape"
    if x0 < left or x1 > right or y0 < top or y1 > bottom:
        yield f"{text['said']!r} reaches out of its shape"


def _tight(text: dict[str, Any]) -> Box:
    """The box of a text from the foot of its letters to their head."""
    x0, _, x1, _ = text["box"]
    return x0, text["y"] - 0.72 * text["size"], x1, text["y"] + 0.1 * text["size"]


def _meet(a: Any, b: Any) -> bool:
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])


def _close(figure: Figure, wires: list[dict[str, Any]]) -> Iterator[str]:
    """Wires that come close to a shape that none of their value's wires enters or leaves."""
    scene, ways = figure.scene, {}
    for wire in wires:
        ways[wire["id"].partition("wire-")[2]] = wire["points"]
    for wire in scene.wires:
        own = {key for w in scene.wires if w.net == wire.net for key in (w.source, w.target)}
        for shape in scene.shapes:
            if shape.key in own or shape.form in ("text", "ring", "sum", "cell"):
                continue
            for x, y in ways[quote(wire.key, safe="-_.~")]:
                dx = max(shape.left - x, x - shape.right, 0)
                dy = max(shape.bottom - (scene.height - y), scene.height - y - shape.top, 0)
                if (dx * dx + dy * dy) ** 0.5 < CLOSE:
                    yield f"the wire {wire.key} comes close to {shape.name!r}"
                    break


if __name__ == "__main__":
    main(sys.argv[1:])
