"""The language of labels: what a text becomes as runs, in TeX, in Unicode, and in the fonts of the package."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import blocks as bk
from blocks.draw.formats.mermaid import _entity
from blocks.draw.formats.svg import svg_line
from blocks.draw.formats.tex import math, tex, tex_line
from blocks.draw.text import Line, Run, missing
from blocks.draw.typeset import ACCENTS, GREEK, SIGNS, name_line, name_lines, symbol, typeset, unicode_line, value_at
from blocks.graph import OPS

# text → plain, TeX, Unicode
TABLE = [
    ("f_t", "f_t", "$f_{t}$", "fₜ"),
    ("h_{t-1}", "h_t−1", "$h_{t-1}$", "hₜ₋₁"),
    ("W_hh", "W_hh", "$W_{hh}$", "Wₕₕ"),
    ("x^2", "x^2", "$x^{2}$", "x²"),
    ("10^{-6}", "10^−6", "$10^{-6}$", "10⁻⁶"),
    ("2.5·10^{-5}", "2.5·10^−5", r"$2.5\cdot10^{-5}$", "2.5·10⁻⁵"),
    ("x^{-1}", "x^−1", "$x^{-1}$", "x⁻¹"),
    ("x^{0.5}", "x^0.5", "$x^{0.5}$", "x^0.5"),
    ("x_1^2", "x_1^2", "$x_{1}^{2}$", "x₁²"),
    ("f_{max}", "f_max", r"$f_{\mathrm{max}}$", "fₘₐₓ"),
    ("q_{query}", "q_query", r"$q_{\mathrm{query}}$", "q_query"),
    (r"\omega", "ω", r"$\omega$", "ω"),
    (r"\Gamma_o", "Γ_o", r"$\Gamma_{o}$", "Γₒ"),
    ("Γ_o", "Γ_o", r"$\Gamma_{o}$", "Γₒ"),
    (r"\tilde{C}_t", "C̃_t", r"$\tilde{C}_{t}$", "C̃ₜ"),
    (r"\hat y", "ŷ", r"$\hat{y}$", "ŷ"),
    (r"\bar\alpha", "ᾱ", r"$\bar{\alpha}$", "ᾱ"),
    (r"\bold{W}_x", "W_x", r"$\mathbf{W}_{x}$", "Wₓ"),
    ("$\\mathbf{W}$", "W", r"$\mathbf{W}$", "W"),
    ("h'", "h′", "$h'$", "h′"),
    ("forget gate", "forget gate", "forget gate", "forget gate"),
    (r"a\_b & 50%", "a_b & 50%", r"$a$\_$b$ \& 50\%", "a_b & 50%"),
    ("tanh", "tanh", "tanh", "tanh"),
    (r"\odot C_\omega x", "⊙C_ωx", r"$\odot C_{\omega}x$", "⊙C_ωx"),
    (r"q_{a big one} + h", "q_a big one + h", r"$q_{\mathrm{a~big~one}}$ + $h$", "q_a big one + h"),
]


@pytest.mark.parametrize("text, plain, latex, letters", TABLE, ids=[row[0] for row in TABLE])
def test_table(text: str, plain: str, latex: str, letters: str) -> None:
    words = Line(typeset(text), 12)
    said = (words.plain, tex_line(words), unicode_line(words))
    assert tuple(unicodedata.normalize("NFC", s) for s in said) == (plain, latex, letters)
    assert not missing([words])


def test_symbols_are_slanted_and_words_upright() -> None:
    assert typeset("h_{t-1}") == (Run("h", italic=True), Run("t−1", italic=True, sub=True))
    assert typeset("ff") == (Run("ff", italic=True),) and typeset("fff") == (Run("fff"),)
    assert typeset("f_{max}")[1] == Run("max", sub=True)
    assert typeset(r"\bold{W}^T") == (Run("W", bold=True), Run("T", italic=True, sup=True))


@pytest.mark.parametrize(
    "text, said",
    [
        (r"\omga", r"no command \\omga \(did you mean 'omega'\?\)"),
        ("{a", "a { is not closed"),
        ("a}", "a } has no { before it"),
        ("a_", "nothing stands at its end"),
        (r"\tilde", "nothing stands at its end"),
    ],
)
def test_what_cannot_be_read(text: str, said: str) -> None:
    with pytest.raises(bk.BlocksError, match=said):
        typeset(text)
    assert symbol(text) is None


@given(st.text(alphabet="aC1 _^{}\\'$-σ\u0303t", max_size=12))
def test_any_text_is_set_or_refused(text: str) -> None:
    """Nothing is lost: with the commands of the language taken away, its letters are those of the runs."""
    try:
        runs = typeset(text)
        latex = tex_line(Line(runs, 10))
    except bk.BlocksError:
        return
    kept = unicodedata.normalize("NFD", "".join(r.text for r in runs))
    assert [c for c in kept if c in "aC1σt"] == [c for c in text if c in "aC1σt"]
    assert all(run.text for run in runs) and Line(runs, 10).width >= 0
    bare = latex.replace("\\{", "").replace("\\}", "").replace("\\$", "")
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0


def test_only_symbols_of_users_are_set() -> None:
    """A name with an underscore is a symbol if one letter stands before it; any other is text, as it is."""
    for name in ("f_h", "Γ_o", r"\Gamma_o", "C̃_t", "h'", "x_1^2", "$f_t$", r"\tilde{c}"):
        assert symbol(name), name
    for name in ("forget", "layer_1", "C*", "ff", "a_b_c", "x%$#_^~{", "h", r"\input{x}", "_a", "1_x"):
        assert symbol(name) is None, name
        assert name_line(name, 9).plain == name


def test_a_long_name_stands_on_two_lines() -> None:
    for name, lines in {
        "forget": ["forget"],
        "transform_1": ["transform_1"],
        "candidate_recurrent": ["candidate_", "recurrent"],
        "layer1/forget": ["layer1/", "forget"],
        "a name of some words": ["a name of", "some words"],
        "multiplicative": ["multiplicative"],
        r"\Gamma_forgetting": ["Γ_forgetting"],
    }.items():
        assert [text.plain for text in name_lines(name, 9)] == lines


def test_values_at_a_step() -> None:
    assert value_at("h", "t−1").plain == "h_t−1"
    assert value_at("x_t", "t−1").plain == "x_t−1"
    assert value_at("h_1", "t").plain == "h_1, t"
    assert value_at("x^2", "t−1").plain == "x_t−1^2" and value_at("h_1^2", "t").plain == "h_1, t^2"
    assert name_line("h", 9, "∂").runs == (Run("∂"), Run("h", italic=True)) and not name_line("h", 9).runs[0].italic
    assert name_line("loss", 9, "∂").runs == (Run("∂loss"),)
    assert value_at("candidate", "t").runs[0] == Run("candidate")
    assert [run.time for run in value_at("h_1", "t").runs] == [False, False, True]


def test_names_are_set_in_every_format() -> None:
    x, h, c = bk.input("ω", 3), bk.state("ĥ", 3), bk.state(r"\tilde{C}", 3)
    cell = bk.Cell({h: bk.TANH(3, name="f_h")(x, h), c: bk.SIGM(3, name="Γ_o")(x, c)}, h)
    figure = cell.draw(unroll=3)
    latex, mermaid = (figure.render(format).decode() for format in ("tikz", "mmd"))
    for said in ("$f_{h}$", r"$\Gamma_{o}$", r"$\hat{h}_{t-2}$", r"$\tilde{C}_{t+1}$", r"$\omega_{t+1}$"):
        assert said in latex, said
    assert "f#8341;" in mermaid  # fₕ
    drawn = figure.render("svg").decode()
    assert 'font-style="italic">f</tspan>' in drawn and "f_h</text>" not in drawn
    assert figure.render("png") and figure.render("pdf")


def test_numbers_and_powers_are_set_in_every_format() -> None:
    """As a journal sets them: a power raised, ten to a power for Python's e, and a minus for its hyphen."""
    x, h = bk.input("x", 3), bk.state("h", 3)
    u = bk.TANH(3, name="u")(x, h)
    cell = bk.Cell({h: ((u + 1e-6) * -2.5e-5 - 3e8) ** -1 + u**0.5 + u**2 + 2.0**u + bk.maximum(u, 1e-9)}, h)
    figure = cell.draw(equations=True)
    shapes = {s.lines[0].plain: s for s in figure.scene.shapes if s.kind == "operation"}
    labels = {"+10^−6", "×−2.5·10^−5", "−3·10^8", "x^−1", "x^0.5", "x^2", "2^x", "max 10^−9"}
    assert set(shapes) == {"+", *labels}
    assert all(s.lines[0].width + 4 < s.w and s.lines[0].size < s.h for s in shapes.values())
    assert shapes["+10^−6"].tooltip.endswith("of u, 10⁻⁶; (batch, 3)")
    drawn, latex, chart, dot = (figure.render(format).decode() for format in ("svg", "tikz", "mmd", "dot"))
    for said in ("+10", "×−2.5·10", "−3·10", "x", "2", "max 10"):
        assert f'>{said}<tspan dy="-3.96" font-size="9">' in drawn
    for said in ("+$10^{-6}$", r"$\times$$-2.5\cdot10^{-5}$", r"$-3\cdot10^{8}$", "x$^{-1}$", "x$^{0.5}$", "x$^{2}$"):
        assert said in latex, said
    for said in ("+10⁻⁶", "×−2.5·10⁻⁵", "−3·10⁸", "x⁻¹", "x^0.5", "x²", "2ˣ", "max 10⁻⁹"):
        assert f'"{_entity(said)}"' in chart, said
    assert '>+10</font><sup><font point-size="9"' in dot
    assert not any(re.search(r"\de[-−+]\d", text) for text in (drawn, latex, chart, dot))
    assert figure.render("png") and figure.render("pdf")


def test_a_user_of_ten_is_no_power_of_it() -> None:
    """The digits of a name stay text, where its time is lowered."""
    assert tex_line(value_at("layer2", "t")) == "layer2$_{t}$"
    assert tex_line(Line(typeset("max 10^{-9}"), 10)) == "max $10^{-9}$"


def test_a_power_of_a_power() -> None:
    """Scripts side by side are one to TeX, which takes no two in a row."""
    assert math("x⁻¹²") == "x^{-12}" and tex_line(Line((Run("x"), Run("10⁻⁶", sup=True)), 10)) == "x$^{10^{-6}}$"


def test_every_sign_can_be_written() -> None:
    """In TeX and in the fonts of the package: the signs of all operations, and all letters that have a name."""
    signs = [op.sign or op.name for op in OPS.values()] + ["x", "y", "ᵀ", "…", "⋯", "∼", "1−", "∂h", "Σ"]
    for sign in signs:
        assert tex(sign) and not missing([Line((Run(sign),), 10)]), sign
    for name, letter in (GREEK | SIGNS).items():
        for run in (Run(letter), Run(letter, italic=True), Run(letter, bold=True)):
            assert math(letter) and not missing([Line((run,), 10)]), name
    for name, accent in ACCENTS.items():
        assert math("C" + accent) == f"\\{name}{{C}}"
        assert not missing([Line((Run("C" + accent, italic=True),), 10)])


@pytest.mark.parametrize("character", ["漢", "ъ", "\ufffd", "C\u0489"])
def test_what_tex_cannot_set_is_an_error(character: str) -> None:
    for write in (tex, math):
        with pytest.raises(bk.BlocksError, match="TeX's standard fonts have no .*save the figure as .svg"):
            write(f"a {character}")


def test_text_that_tex_would_act_on() -> None:
    assert tex("a_b{c}\\d%") == r"a\_b\{c\}\textbackslash{}d\%"
    assert tex("σ × é ł ᵀ x²") == r"$\sigma$ $\times$ \'{e} \l{} $^{T}$ x$^{2}$"


@pytest.mark.parametrize("make", [lambda: Line((Run("<&>"), Run('"', sub=True)), 10)])
def test_markup_is_inert(make: Any) -> None:
    assert "&lt;&amp;&gt;" in svg_line(make())
