r"""Lines of text as TeX sets them: symbols as mathematics, ``$h_{t-1}$``, ``$\tilde{C}$``; the rest as text.

Names come from users and files, so every character that TeX would act on is replaced by a command that prints it. A
character that TeX's standard fonts lack is an error.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator

from ...errors import BlocksError
from ..text import Line, Run
from ..typeset import GREEK

_TEXT = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\texttt{\char34}", "`": r"\textasciigrave{}", "'": r"\textquotesingle{}", "-": "{-}",
    "…": r"\dots{}", "–": "--", "—": "---", "“": "``", "”": "''", "‘": "`", "’": "'", "\u00a0": "~",
    "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}", "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}",
    "œ": r"\oe{}", "Œ": r"\OE{}", "ı": r"\i{}",
}  # fmt: skip
_MATH = {
    "−": "-", "×": r"\times", "÷": r"\div", "·": r"\cdot", "•": r"\bullet", "⊗": r"\otimes", "⊕": r"\oplus",
    "⊙": r"\odot",
    "√": r"\surd", "∂": r"\partial", "∇": r"\nabla", "ℓ": r"\ell", "∞": r"\infty", "∥": r"\parallel", "∼": r"\sim",
    "∧": r"\wedge", "∨": r"\vee", "¬": r"\neg",
    "⋯": r"\cdots", "≤": r"\le", "≥": r"\ge", "≠": r"\ne", "≈": r"\approx", "∈": r"\in", "±": r"\pm", "→": r"\to",
    "←": r"\gets", "↑": r"\uparrow", "↓": r"\downarrow", "∘": r"\circ", "∑": r"\sum", "∏": r"\prod", "½": r"\frac12",
    "⁻": "^{-}", "₋": "_{-}", "⁺": "^{+}", "₊": "_{+}", "°": r"^\circ", "ħ": r"\hbar",
    "⌊": r"\lfloor", "⌋": r"\rfloor",
}  # fmt: skip
_LIKE_LATIN = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEZHIKMNOPTYXo", strict=True))
_MATH |= {letter: f"\\{name}" for name, letter in GREEK.items() if letter not in _LIKE_LATIN}
_MATH |= {letter: f"\\mathrm{{{latin}}}" for letter, latin in _LIKE_LATIN.items()} | {"ο": "o"}
_TEXT_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0323": "d", "\u0327": "c", "\u0331": "b",
}  # fmt: skip
_MATH_ACCENTS = {
    "\u0300": "grave", "\u0301": "acute", "\u0302": "hat", "\u0303": "tilde", "\u0304": "bar", "\u0306": "breve",
    "\u0307": "dot", "\u0308": "ddot", "\u030c": "check", "\u20d7": "vec",
}  # fmt: skip
_BASE = re.compile(r"(?<!\w)−?[\d.]+(·10)?$")  # a number at the end of a text
_SCRIPTS = {"<super>": "^", "<sub>": "_"}


def tex_line(text: Line) -> str:
    """A line as TeX; a number is mathematics where something is raised behind it, as in ``$10^{-6}$``."""
    out = []
    for symbols, group in itertools.groupby(_split(text.runs), lambda pair: pair[1]):
        runs = [run for run, _ in group]
        out.append(f"${_tidy(''.join(_scripted(runs)))}$" if symbols else "".join(tex(run.text) for run in runs))
    return "".join(out)


def _split(runs: Iterable[Run]) -> Iterator[tuple[Run, bool]]:
    """Runs, and whether each is mathematics: a symbol, a script, a number that has one behind it."""
    for run, behind in itertools.pairwise((*runs, Run(""))):
        symbol = run.italic or run.bold or run.sub or run.sup
        base = _BASE.search(run.text) if not symbol and (behind.sub or behind.sup) else None
        if base and base.start():
            yield run._replace(text=run.text[: base.start()]), False
        yield (run._replace(text=base.group()), True) if base else (run, symbol)


def _tidy(text: str) -> str:
    """TeX's mathematics without the blanks behind commands that end anyway."""
    return re.sub(r"(\\[A-Za-z]+) (?![A-Za-z])", r"\1", text).strip()


def _scripted(runs: Iterable[Run]) -> Iterator[str]:
    """Symbols as mathematics; what is lowered or raised side by side is one group."""
    for (sub, sup), group in itertools.groupby(runs, lambda r: (r.sub, r.sup)):
        inner = "".join(_symbols(run) for run in group)
        yield f"_{{{inner.strip()}}}" if sub else f"^{{{inner.strip()}}}" if sup else inner


def _symbols(run: Run) -> str:
    inner = math(run.text)
    if run.bold:
        return f"\\mathbf{{{inner.strip()}}}"
    return inner if run.italic or not any(c.isalpha() for c in run.text) else f"\\mathrm{{{inner.strip()}}}"


def tex(text: str) -> str:
    """Text that TeX sets as it stands. Raises BlocksError for a character that it cannot set."""
    out = []
    for base, accents in _letters(text):
        if base in _TEXT or (base.isascii() and base.isprintable()):
            inner = _TEXT.get(base, base)
            for accent in accents:
                inner = f"\\{_known(_TEXT_ACCENTS, accent, base + accent)}{{{inner}}}"
            out.append(inner)
        else:
            out.append(f"${math(base + accents).strip()}$")
    return "".join(out)


def math(text: str) -> str:
    """Text in TeX's mathematics; a blank ends a command. Raises BlocksError for a character that it cannot set."""
    out: list[str] = []
    for base, accents in _letters(re.sub(" *([=+−⊙×>∼]) *", r"\1", text)):  # TeX leaves room around signs itself
        kind, _, code = unicodedata.decomposition(base).partition(" ")
        if base == "′":
            inner = "'"
        elif base in _MATH:
            inner = _MATH[base] + " " * _MATH[base][-1].isalpha()
        elif base.isascii() and base.isalnum():
            inner = base
        elif base == " ":
            inner = "~"
        elif kind in _SCRIPTS and " " not in code:
            inner = f"{_SCRIPTS[kind]}{{{math(chr(int(code, 16))).strip()}}}"
        elif base in "+=(),.:;!?/[]*|<>":
            inner = base
        elif base == "-" or base in _TEXT:
            inner = "-" if base == "-" else f"\\mbox{{{_TEXT[base]}}}"
        else:
            raise _lacking(base)
        for accent in accents:
            inner = f"\\{_known(_MATH_ACCENTS, accent, base + accent)}{{{inner.strip()}}}"
        if out and inner[:2] in ("^{", "_{") and out[-1][:2] == inner[:2]:  # two of them in a row are one to TeX
            inner = out.pop()[:-1] + inner[2:]
        out.append(inner)
    return "".join(out)


def _letters(text: str) -> Iterator[tuple[str, str]]:
    """Characters, each with the accents on it."""
    plain = "".join(unicodedata.normalize("NFD", c) if c not in _TEXT and c not in _MATH else c for c in text)
    at = 0
    while at < len(plain):
        end = at + 1
        while end < len(plain) and unicodedata.combining(plain[end]):
            end += 1
        yield plain[at], plain[at + 1 : end]
        at = end


def _known(accents: dict[str, str], accent: str, whole: str) -> str:
    if accent not in accents:
        raise _lacking(whole)
    return accents[accent]


def _lacking(character: str) -> BlocksError:
    codes = " ".join(f"U+{ord(c):04X}" for c in character)
    return BlocksError(f"TeX's standard fonts have no {character!r} ({codes}); save the figure as .svg")
