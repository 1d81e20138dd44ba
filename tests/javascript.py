"""JavaScript as the tests run it: in node, if there is any, else in Chromium."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from blocks.explain.document import script_json

NODE = shutil.which("node") or shutil.which("nodejs")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WAIT = 300  # seconds


def engine():
    """Whether there is one."""
    return NODE or CHROMIUM


def evaluated(scripts, document):
    """What ``main(document)``, a function of the scripts, gives."""
    text = "\n".join(scripts)
    said = f"JSON.parse({json.dumps(script_json(document))})"  # as a page has it: there a name is only a name
    if NODE:
        body = f"{text}\nprocess.stdout.write(JSON.stringify(main({said})));"
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "main.js"
            file.write_text(body, encoding="utf-8")
            done = subprocess.run([NODE, str(file)], capture_output=True, text=True, timeout=WAIT)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)
    show = "document.body.textContent = JSON.stringify(main(said))"
    page = f"<meta charset=utf-8><body><script>{text}\nconst said = {said};\n{show};</script>"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "page.html"
        file.write_text(page, encoding="utf-8")
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile"]
        done = subprocess.run([*command, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=WAIT)
    from html import unescape

    return json.loads(unescape(done.stdout.partition("<body>")[2].partition("</body>")[0]))
