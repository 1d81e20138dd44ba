// Measures every figure of the page, in the figure's own points, and sends what it found.
const box = (b) => [b.x, b.y, b.x + b.width, b.y + b.height];
const canvas = document.createElement("canvas").getContext("2d");

function middle(text) {
  // where the middle of a text is: between its first and its last letter, and between the top and the foot of its font
  // (of one character, of its ink), which a canvas tells more finely than a box of whole pixels
  const style = getComputedStyle(text.querySelector("tspan") || text), size = parseFloat(style.fontSize);
  canvas.font = `${style.fontStyle} ${style.fontWeight} ${size * 10}px ${style.fontFamily}`;
  const m = canvas.measureText(text.textContent), last = text.getNumberOfChars() - 1, one = last == 0;
  const up = one ? m.actualBoundingBoxAscent : m.fontBoundingBoxAscent;
  const down = one ? m.actualBoundingBoxDescent : m.fontBoundingBoxDescent;
  const x = (text.getStartPositionOfChar(0).x + text.getEndPositionOfChar(last).x) / 2;
  return [x, +text.getAttribute("y") - (up - down) / 20];
}

function measured(svg) {
  const found = { scale: svg.getBoundingClientRect().width / svg.viewBox.baseVal.width, texts: [], heads: [], wires: [] };
  for (const text of svg.querySelectorAll("text")) {
    const group = text.parentNode, apart = group.classList.contains("net") || text.classList.contains("note");
    const form = apart ? null : group.querySelector("rect, circle");
    const lines = [...group.querySelectorAll(":scope > text:not(.note)")];
    found.texts.push({
      said: text.textContent, owner: group.id, box: box(text.getBBox()), middle: middle(text),
      form: form && box(form.getBBox()), frame: group.classList.contains("frame"), alone: lines.length == 1 && !text.querySelector("[dy]"),
      sizes: [text, ...text.querySelectorAll("tspan")].map((e) => parseFloat(getComputedStyle(e).fontSize)),
      x: +text.getAttribute("x"), y: +text.getAttribute("y"), size: +text.getAttribute("font-size"),
    });
  }
  for (const head of svg.querySelectorAll("polygon")) found.heads.push(box(head.getBBox()));
  for (const wire of svg.querySelectorAll(".net > path:not(.hit)")) {
    const points = [], length = wire.getTotalLength();
    for (let at = 0; at <= length; at += 2) { const p = wire.getPointAtLength(at); points.push([p.x, p.y]); }
    found.wires.push({ id: wire.id, points });
  }
  return found;
}

const shown = {};
for (const figure of document.querySelectorAll("div[id]")) shown[figure.id] = measured(figure.querySelector("svg"));
fetch("/found", { method: "POST", body: JSON.stringify(shown) });
