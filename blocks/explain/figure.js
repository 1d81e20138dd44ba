"use strict";
// The figure: the house's SVG, with the numbers of each value at its place, and a ring around what is computed now.

const SVG = "http://www.w3.org/2000/svg";
function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, v] of Object.entries(attributes)) element.setAttribute(name, v);
  element.append(...children);
  return element;
}
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, v] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), v);
    else if (v === true) element.setAttribute(name, "");
    else if (v !== false && v != null) element.setAttribute(name, v);
  }
  element.append(...children.filter((c) => c != null));
  return element;
}
const byId = (id) => document.getElementById(id);
const FEW = 4, SOME = 16; // numbers that are written out, or shown by a bar each
const AROUND = 7, EDGE = 0.12; // between a shape and its ring; of what is seen, how near to its edge a ring may come
const still = matchMedia("(prefers-reduced-motion: reduce)");

class Figures {
  constructor(state, box) {
    this.state = state;
    this.box = box;
    const drawn = document.querySelectorAll("template.drawn");
    this.shown = state.page.figures.map((figure, i) => this.build(figure, drawn[i]));
    this.at = -1;
    this.scale = 1;
    this.show(0);
  }

  build(figure, drawn) {
    const holder = el("div", { class: "picture" }, drawn.content.cloneNode(true));
    const root = holder.querySelector("svg"), box = root.viewBox.baseVal;
    const left = Math.min(-AROUND - 4, ...figure.chips.map((c) => c.x - c.w / 2 - 4)), right = Math.max(box.width + AROUND + 4, ...figure.chips.map((c) => c.x + c.w / 2 + 4));
    const width = right - left;
    root.setAttribute("viewBox", `${left} ${-AROUND - 4} ${width} ${box.height + 2 * AROUND + 8}`); // a ring at the edge is whole
    root.removeAttribute("width");
    root.removeAttribute("height");
    root.style.maxWidth = "none";
    const rings = svg("g", { class: "rings" }), layer = svg("g", { class: "chips" });
    root.append(rings, layer);
    const chips = figure.chips.map((chip) => {
      const group = svg("g", { transform: `translate(${chip.x - chip.w / 2} ${chip.y - chip.h / 2})` });
      layer.append(group);
      return { ...chip, group };
    });
    return { figure, holder, root, width, rings, chips };
  }

  show(number) {
    if (number === this.at) return;
    this.at = number;
    this.box.replaceChildren(this.shown[number].holder);
    this.resize();
  }
  resize() { // as large as its box has room for, but not so small that its numbers cannot be read
    const { root, width } = this.shown[this.at], { clientWidth } = this.box, narrow = clientWidth < 600;
    const least = narrow ? 0.9 : 1.15, high = (innerHeight * (narrow ? 0.38 : 0.56)) / root.viewBox.baseVal.height;
    const fits = high < least && high > 0.9 * least ? high : Math.max(least, Math.min(1.7, clientWidth / width, high));
    root.style.width = `${width * this.scale * fits}px`;
  }
  zoom(factor) {
    this.scale = Math.max(0.3, Math.min(3, this.scale * factor));
    this.resize();
    this.draw();
  }

  draw() {
    const { state } = this, line = state.current, owner = line.of ?? state.line;
    const has = ({ figure }) => figure.parts[owner];
    if (!has(this.shown[this.at]) && this.shown.some(has)) this.show(this.shown.findIndex(has));
    const { figure, root, rings, chips } = this.shown[this.at];
    const back = line.phase === "backward" || line.phase === "update";
    this.step = line.step[0] ?? stepOf(chips, owner) ?? (back ? 1 : this.step ?? 1);
    const steps = figure.all ? null : this.step;
    byId("moment").textContent = figure.all ? "" : `t = ${this.step}`;
    let top = 0;
    const told = chips.map((chip) => {
      const of = steps === null ? Object.values(chip.lines)[0] : chip.lines[steps];
      const which = of === undefined ? undefined : back ? state.gradients.get(of) : of;
      const known = which !== undefined && state.known(which);
      const v = known ? shown(state.value(which), state.example, state.page.dims) : null;
      if (v) top = v.data.reduce((m, x) => (Number.isFinite(x) ? Math.max(m, Math.abs(x)) : m), top);
      return { chip, of, which, v };
    });
    for (const t of told) this.chip(t, top || 1, back);
    this.mark(root, rings, (state.position ? figure.parts[owner] ?? [] : figure.start).map((id) => figure.prefix + id));
  }

  chip({ chip, of, which, v }, top, back) { // the numbers of a value; what is not computed yet has none, and that is not zero
    const { group, w, h } = chip, name = of === undefined ? "" : this.state.lines[which ?? of].symbol;
    group.setAttribute("class", `chip ${back ? "back" : ""} ${v ? "" : "unknown"} ${which === this.state.line ? "now" : ""}`);
    const parts = [svg("title", {}, v ? `${name} = ${[...v.data].slice(0, 40).map(long).join(", ")}` : `${name}: not computed yet`)];
    parts.push(svg("rect", { class: "ground", x: -1, y: -1, width: w + 2, height: h + 2, rx: 3 }));
    if (!v) {
      if (which !== undefined || !back) parts.push(svg("text", { x: w / 2, y: h - 3 }, "?"));
    } else if (v.data.length <= FEW) {
      const cell = w / v.data.length;
      v.data.forEach((x, i) => {
        parts.push(svg("rect", { class: x < 0 ? "minus" : "plus", x: i * cell, y: 0, width: cell, height: h, "fill-opacity": strength(x, top) }));
        const text = short(x), tight = text.length > 4 ? { textLength: cell - 4, lengthAdjust: "spacingAndGlyphs" } : {};
        parts.push(svg("text", { x: (i + 0.5) * cell, y: h - 3, ...tight }, text));
      });
    } else if (v.data.length <= SOME) {
      const cell = w / v.data.length, most = v.data.reduce((m, x) => Math.max(m, Math.abs(x) || 0), 0) || 1;
      v.data.forEach((x, i) => {
        const long = Math.max(0.5, (h / 2) * Math.min(1, Math.abs(x) / most));
        parts.push(svg("rect", { class: x < 0 ? "minus" : "plus", x: i * cell + 0.5, y: x < 0 ? h / 2 : h / 2 - long, width: cell - 1, height: long }));
      });
    } else parts.push(svg("text", { x: w / 2, y: h - 3 }, `‖${short(norm(v))}‖`));
    group.replaceChildren(...parts);
    if (of !== undefined) group.onclick = () => go(() => this.state.goTo(this.state.lines[which ?? of].symbol));
  }

  mark(root, rings, ids) { // a ring around each shape of what is computed now; one of them at least is in sight
    const boxes = ids.map((id) => {
      const shape = root.getElementById(id), form = shape.querySelector("rect, circle") ?? shape, b = form.getBBox();
      return { x: b.x - AROUND, y: b.y - AROUND, width: b.width + 2 * AROUND, height: b.height + 2 * AROUND };
    });
    rings.replaceChildren(...boxes.map((b) => svg("rect", { class: "ring", rx: 12, ...b })));
    if (!boxes.length) return;
    const seen = root.viewBox.baseVal, scale = root.clientWidth / seen.width, { box } = this, [wide, high] = [box.clientWidth, box.clientHeight];
    const places = boxes.map((b) => ({ left: (b.x - seen.x) * scale, top: (b.y - seen.y) * scale, wide: b.width * scale, high: b.height * scale }));
    const inside = (from, size, start, room) => from >= start + room * EDGE && from + size <= start + room * (1 - EDGE);
    if (places.some((p) => inside(p.left, p.wide, box.scrollLeft, wide) && inside(p.top, p.high, box.scrollTop, high))) return;
    const [p] = places;
    box.scrollTo({ left: p.left + p.wide / 2 - wide / 2, top: p.top + p.high / 2 - high / 2, behavior: still.matches ? "auto" : "smooth" });
  }

  file() { // the figure as it stands, as a file of its own: the colours of its numbers are attributes there
    const root = this.shown[this.at].root.cloneNode(true), live = this.shown[this.at].root;
    const from = live.querySelectorAll(".chips *, .ring"), to = root.querySelectorAll(".chips *, .ring");
    from.forEach((element, i) => {
      const style = getComputedStyle(element);
      for (const name of ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-size", "font-family", "text-anchor"]) to[i].setAttribute(name, style.getPropertyValue(name));
    });
    root.removeAttribute("style");
    return new XMLSerializer().serializeToString(root);
  }
}

const strength = (x, top) => (Number.isFinite(x) ? (0.12 + 0.6 * Math.min(1, Math.abs(x) / top)) * (x === 0 ? 0 : 1) : 1).toFixed(2);
function stepOf(chips, line) { // the step at which a line that has none stands in the figure: of a first state
  for (const { lines } of chips) for (const [t, of] of Object.entries(lines)) if (of === line) return Number(t);
}
