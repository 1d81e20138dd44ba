r"""The language of labels: how a name is set, in every format.

    f_t  h_{t-1}  W_hh     lowered: what stands behind _, a word or what is in braces
    x^2                    raised
    \omega  Γ              Greek, by its TeX name or as it is
    \tilde{C}  \hat y      accents: tilde, hat, bar, dot, ddot, vec, check
    \bold{W}  \mathbf{W}   bold
    h'                     a prime
    \_  \^  \\  \{  \}     the character itself
    $…$                    as in TeX; the dollars are left out

One or two letters are a symbol and stand slanted, as in mathematics; longer words stand upright.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from ..errors import BlocksError, nearest
from ..notation import RAISED, Formula
from . import fonts
from .text import Line, Run, clip, line

_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho - sigma tau upsilon phi "
    "chi psi omega"
)
GREEK = {name: chr(0x3B1 + i) for i, name in enumerate(_NAMES.split()) if name != "-"}
GREEK |= {name.capitalize(): letter.upper() for name, letter in GREEK.items()}
SIGNS = {"partial": "∂", "nabla": "∇", "ell": "ℓ", "odot": "⊙", "times": "×", "cdot": "·", "infty": "∞", "prime": "′"}
ACCENTS = {
    "tilde": "\u0303", "hat": "\u0302", "bar": "\u0304", "dot": "\u0307", "ddot": "\u0308", "vec": "\u20d7",
    "check": "\u030c",
}  # fmt: skip
BOLD = ("bold", "mathbf")
_COMMANDS = (*GREEK, *SIGNS, *ACCENTS, *BOLD)
_PIECE = re.compile(r"\\([A-Za-z]+) ?|\\(.)|((?:[^\W\d_][\u0300-\u036f]*)+|\d[\d.]*)|(.)", re.DOTALL)
_ARGUMENT = r"(?:\{[^{}]*\}|\\[A-Za-z]+|[^\W_]+)"
_SCRIPTS = rf"(?:_{_ARGUMENT}(?:\^{_ARGUMENT})?|\^{_ARGUMENT}(?:_{_ARGUMENT})?)?"
_LETTER = r"(?:[^\W\d_][\u0300-\u036f]*|\\[A-Za-z]+(?:\{[^{}]*\}| ?\w)?)"
_SYMBOL = re.compile(rf"\$?{_LETTER}{_SCRIPTS}'*\$?")

WORD, TIMED = 9.0, 10.0  # the size of a word beside a wire; with a time
LONG = 11  # characters; a longer name stands on two lines, if it is made of words


class Label(str):
    """A text that an author gave in the language of labels."""


class Labels:
    """What an author calls things: name → label. Raises BlocksError for a label that cannot be read."""

    def __init__(self, given: Mapping[str, str] | None = None):
        self.given = {str(name): Label(label) for name, label in (given or {}).items()}
        self.known: set[str] = set()
        for name, label in (given or {}).items():
            if not isinstance(label, str) or not typeset(label):
                raise BlocksError(f"the label of {name!r} is a text, 'f_t', not {label!r}")

    def __call__(self, name: str, otherwise: str) -> str:
        """The label of a thing; what it is called otherwise, if it has none. One at a step, ``forget(2)``, has that of
        ``forget`` with the step behind it."""
        for called in (name, otherwise):
            thing, step = re.fullmatch(r"(.*?)(\(\d+\))?", called, re.DOTALL).groups("")  # type: ignore[union-attr]
            self.known.add(thing)
            if thing in self.given:
                return Label(self.given[thing] + step)
        return otherwise

    def check(self) -> None:
        """Raises BlocksError for a name that nothing had."""
        for name in self.given.keys() - self.known:
            known = ", ".join(sorted(self.known))
            raise BlocksError(
                f"there is nothing called {name!r} to label{nearest(name, self.known)}; there are {known}"
            )


def typeset(text: str) -> tuple[Run, ...]:
    """A text in the language of labels as runs. Raises BlocksError for a command that there is not, and for braces
    that are not paired."""
    return _joined(_Parser(text).runs())


def symbol(name: str) -> tuple[Run, ...] | None:
    r"""A user's name as runs, if it is a symbol with something below, above or on it, or a TeX command: ``f_h``,
    ``\Gamma_o``. None for any other name, which is text. An author's label is set as it says."""
    if isinstance(name, Label):
        return typeset(name)
    if not _SYMBOL.fullmatch(name) or not re.search(r"[_^\\'$]", name):
        return None
    try:
        return typeset(name)
    except BlocksError:
        return None


def formula_line(formula: Formula, size: float, longest: int = 0) -> Line:
    """A formula as a line, upright; longest: of a text that a user may have given, if it is not to be whole."""
    runs = _joined([Run(run.text, sub=run.mark == "sub", sup=run.mark == "super") for run in formula.runs])
    return Line(tuple(run._replace(text=clip(run.text, longest)) if longest else run for run in runs), size)


def name_line(name: str, size: float, mark: str = "") -> Line:
    """A user's name as a line, a mark before it, which makes a symbol of a letter or two; a symbol somewhat larger, for
    what is lowered."""
    runs = symbol(name) or ((Run(name, italic=True),) if mark and len(name) <= 2 else None)
    return Line((*([Run(mark)] if mark else []), *runs), size + 2) if runs else line(mark + clip(name), size)


def name_lines(name: str, size: float, mark: str = "") -> tuple[Line, ...]:
    """A user's name as `name_line` sets it, in a box: on two lines where it is long and of several words."""
    whole, shown = name_line(name, size, mark), mark + clip(name)
    breaks = [found.end() for found in re.finditer(r"[\W_](?=\w)", shown)]
    if symbol(name) or len(shown) <= LONG or not breaks:
        return (whole,)
    at = min(breaks, key=lambda i: max(i, len(shown) - i))
    return line(shown[:at].rstrip(), size), line(shown[at:], size)


def value_at(name: str, time: str, size: float = 12.0, mark: str = "") -> Line:
    """A value at a time step, the time lowered: h with t−1 below, before what is raised; x_t has the time in its name
    already. Long names stand upright."""
    runs = list(symbol(name) or [Run(clip(name), italic=len(clip(name)) <= 2)])
    raised = [runs.pop()] if runs[-1].sup and len(runs) > 1 else []
    if runs[-1].sub:
        last = runs.pop()
        runs += [] if last.text == "t" else [last._replace(text=f"{last.text}, ")]
    return Line((*([Run(mark)] if mark else []), *runs, Run(time, italic=True, sub=True, time=True), *raised), size)


def beside(name: str, time: str = "") -> Line:
    """The name of a value beside its wire; a symbol somewhat larger than a word."""
    letters = symbol(name) or len(clip(name)) <= 2
    return value_at(name, time, WORD + 2 if letters else TIMED) if time else name_line(name, WORD)


class _Parser:
    """Reads a text from left to right, and makes its runs."""

    def __init__(self, text: str):
        self.text, self.rest = text, text

    def runs(self, until: str = "") -> list[Run]:
        """The runs up to a closing brace, or to the end of the text."""
        out: list[Run] = []
        while self.rest and self.rest[0] != until:
            head = self.rest[0]
            if head == "}":
                raise BlocksError(f"{self.text!r}: a }} has no {{ before it; \\}} is the character")
            if head in "_^":
                self.rest = self.rest[1:]
                out += [_script(self.argument(), head)]
            else:
                out += self.piece()
        if until and not self.rest:
            raise BlocksError(f"{self.text!r}: a {{ is not closed")
        self.rest = self.rest[len(until) :]
        return out

    def argument(self) -> list[Run]:
        """What a command or a script applies to: a group, or a piece."""
        if not self.rest:
            raise BlocksError(f"{self.text!r}: nothing stands at its end for the command before it")
        return self.piece()

    def piece(self) -> list[Run]:
        """A group, a command, a word, or a character."""
        if self.rest[0] == "{":
            self.rest = self.rest[1:]
            return self.runs("}")
        found = _PIECE.match(self.rest)
        assert found is not None
        self.rest = self.rest[found.end() :]
        command, escaped, word, sign = found.groups()
        if command:
            return self.command(command)
        if word:
            return [Run(word, italic=word[0].isalpha() and _letters(word) <= 2)]
        if sign in ("'", "′"):
            return [Run("′", italic=True)]  # goes with its symbol
        return [Run(escaped or {"-": "−", "$": ""}.get(sign, sign))]

    def command(self, name: str) -> list[Run]:
        if name in GREEK or name in SIGNS:
            return [Run(GREEK.get(name) or SIGNS[name], italic=True)]
        if name in ACCENTS:
            first, *others = self.argument()
            letter, more = first.text[0], list(first.text[1:])
            while more and unicodedata.combining(more[0]):
                letter += more.pop(0)
            whole = unicodedata.normalize("NFC", letter + ACCENTS[name])
            accented = whole if whole.isalpha() and fonts.has("math-italic", whole) else letter + ACCENTS[name]
            return [first._replace(text=accented + "".join(more), italic=True), *others]
        if name in BOLD:
            return [run._replace(bold=True, italic=False) for run in self.argument()]
        raise BlocksError(
            f"{self.text!r}: there is no command \\{name}{nearest(name, _COMMANDS)}; \\\\ is the character"
        )


def _script(runs: list[Run], sign: str) -> Run:
    """What is lowered or raised, as one run: slanted, but for words of more than two letters."""
    text = "".join(run.text for run in runs)
    slanted = not any(run.text.isalpha() and not run.italic for run in runs)
    return Run(text, italic=slanted, bold=any(run.bold for run in runs), sub=sign == "_", sup=sign == "^")


def _letters(word: str) -> int:
    return sum(not unicodedata.combining(c) for c in word)


def _joined(runs: list[Run]) -> tuple[Run, ...]:
    """Runs of one style after each other as one."""
    out: list[Run] = []
    for run in runs:
        if out and out[-1][1:] == run[1:]:
            out[-1] = run._replace(text=out[-1].text + run.text)
        elif run.text:
            out.append(run)
    return tuple(out)


_LOWERED = dict(zip("0123456789+−=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ", strict=True))
_RAISED = RAISED | dict(
    zip(
        "+=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRUVWβγδφχ",
        "⁺⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵁⱽᵂᵝᵞᵟᵠᵡ",
        strict=True,
    )
)


def unicode_line(text: Line) -> str:
    """A line as text alone, in Unicode's lowered and raised letters where it has all of them: ``hₜ₋₁``, ``W_max``."""
    out = ""
    for run in text.runs:
        letters, sign = (_LOWERED, "_") if run.sub else (_RAISED, "^") if run.sup else (None, "")
        own = letters is not None and all(c in letters for c in run.text)
        out += "".join(letters[c] for c in run.text) if letters and own else sign + run.text
    return out
