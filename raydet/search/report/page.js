"use strict";
// Draws the plots of a sweep from the data in #sweep, and links them: what is pointed at in one is marked in all.
const sweep = JSON.parse(document.getElementById("sweep").textContent);
const trials = sweep.trials;
const axisOf = Object.fromEntries(sweep.axes.map((axis) => [axis.name, axis]));
const labelOf = Object.fromEntries(sweep.axes.map((axis) => [axis.name, axis.label]));
const trialOf = new Map(trials.map((trial) => [trial.number, trial]));
const filters = new Map(); // axis name -> [from, to] in shares of its height
let chosen = 0; // index of the objective on show
let pinned = null;

// ---- drawing --------------------------------------------------------------------------------------------------------

function draw(name, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function canvas(host, height, label) {
  const width = Math.max(host.clientWidth, 200);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  host.replaceChildren(svg);
  return [svg, width];
}

const text = (x, y, content, more = {}) => draw("text", { x, y, ...more }, content);
const line = (points, more) => draw("path", { d: "M" + points.map((p) => p.map((v) => v.toFixed(1))).join("L"), ...more });
const extent = (values) => [Math.min(...values), Math.max(...values)];

function short(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return typeof value === "string" ? value : JSON.stringify(value);
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2).replace(/\.?0+e/, "e") : String(Number(value.toPrecision(4)));
}

// ---- scales: functions from values to pixels, with ticks --------------------------------------------------------------

function linear([low, high], [from, to], count = 5) {
  if (low === high) [low, high] = [low - (Math.abs(low) || 1) * 0.1, high + (Math.abs(high) || 1) * 0.1];
  const scale = (value) => from + ((Math.min(Math.max(value, low), high) - low) / (high - low)) * (to - from);
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((each) => each * power >= raw * 0.999);
  scale.ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) scale.ticks.push(k * step);
  return scale;
}

function logarithmic([low, high], range) {
  const inner = linear([Math.log10(low), Math.log10(high)], range);
  const scale = (value) => inner(Math.log10(value));
  const ticks = (factors) => {
    const found = [];
    for (let p = Math.floor(Math.log10(low)); p <= Math.log10(high); p++)
      for (const factor of factors) if (factor * 10 ** p >= low * 0.999 && factor * 10 ** p <= high * 1.001) found.push(factor * 10 ** p);
    return found;
  };
  const decades = ticks([1]);
  scale.ticks = decades.length >= 2 ? decades : ticks([1, 2, 5]);
  return scale;
}

function choices(names, [from, to]) {
  const step = (to - from) / names.length;
  const scale = (name) => from + step * (names.indexOf(name) + 0.5);
  scale.ticks = names;
  return scale;
}

function scaleOf(axis, range) {
  if (axis.kind === "choice") return choices(axis.choices, range);
  return axis.kind === "log" ? logarithmic([axis.low, axis.high], range) : linear([axis.low, axis.high], range, 4);
}

// Values far outside of the rest sit on the edge, so that one diverged trial does not flatten the picture.
function valueScale(index, range, more = []) {
  const values = [...trials.map((trial) => trial.values[index]), ...more].filter(Number.isFinite).sort((a, b) => a - b);
  if (!values.length) return linear([0, 1], range);
  const at = (share) => values[Math.round(share * (values.length - 1))];
  const spread = 6 * (at(0.9) - at(0.1)) || Infinity;
  const [low, high] = [Math.max(values[0], at(0.1) - spread), Math.min(values.at(-1), at(0.9) + spread)];
  const room = (high - low) * 0.04;
  return linear([low - room, high + room], range);
}

// ---- frames and marks -------------------------------------------------------------------------------------------------

function frame(svg, area, x, y, names) {
  const { left, right, top, bottom } = area;
  for (const tick of y.ticks) {
    const label = short(tick);
    svg.append(line([[left, y(tick)], [right, y(tick)]], { class: "rule" }));
    svg.append(text(left - 6, y(tick) + 4, label.length > 12 ? label.slice(0, 11) + "…" : label, { "text-anchor": "end" }));
  }
  const room = (right - left) / Math.max(x.ticks.length, 1) / 6.8;
  for (const tick of x.ticks) {
    const label = short(tick);
    const cut = label.length > room && room >= 3 ? label.slice(0, Math.max(2, room - 1)) + "…" : label;
    svg.append(text(x(tick), bottom + 16, cut, { "text-anchor": "middle" }));
  }
  svg.append(line([[left, top], [left, bottom], [right, bottom]], { class: "axis" }));
  if (names.x) svg.append(text(right, bottom + 32, names.x, { "text-anchor": "end", class: "name" }));
  if (names.y) svg.append(text(left - 6, top - 9, names.y, { class: "name" }));
}

const isNotable = (trial) => [trial.number === sweep.best && "best", trial.number === sweep.default && "default"].filter(Boolean);
const classes = (trial, kind) => [kind, ...isNotable(trial)].join(" ");

function shade(trial) {
  return `color-mix(in oklab, var(--accent) ${Math.round(100 * trial.goodness)}%, var(--faint))`;
}

function mark(trial, x, y, size = 4.5) {
  const more = { class: classes(trial, "mark"), "data-trial": trial.number };
  const radius = isNotable(trial).length ? size + 2 : size;
  if (trial.state === "failed" || trial.state === "rejected") {
    const cross = `M${x - 4} ${y - 4}l8 8m0-8l-8 8`;
    return draw("path", { ...more, d: cross, stroke: "var(--bad)", fill: "none" });
  }
  const hollow = trial.state !== "complete";
  const style = hollow ? `stroke:${trial.state === "running" ? "var(--accent)" : shade(trial)}` : `fill:${shade(trial)};stroke:var(--card)`;
  return draw("circle", { ...more, cx: x, cy: y, r: radius, style, ...(hollow ? { class: more.class + " hollow" } : {}) });
}

// The best on top, the default just below it.
const backToFront = (list) => [...list].sort((a, b) => isNotable(a).length - isNotable(b).length || a.goodness - b.goodness);

// ---- plots ------------------------------------------------------------------------------------------------------------

const plots = {
  history(host) {
    const [svg, width] = canvas(host, 300, "Value of each trial in the order of ending, with the best so far");
    const area = { left: 62, right: width - 12, top: 24, bottom: 254 };
    const ended = trials.filter((trial) => trial.ended !== null).sort((a, b) => a.ended - b.ended || a.number - b.number);
    const x = linear([0.5, ended.length + 0.5], [area.left, area.right], Math.min(10, width / 70));
    x.ticks = x.ticks.filter((tick) => Number.isInteger(tick) && tick > 0);
    const y = valueScale(chosen, [area.bottom, area.top]);
    frame(svg, area, x, y, { x: "trials, in the order of their end", y: sweep.objectives[chosen].metric });
    const better = (a, b) => (sweep.objectives[chosen].mode === "max" ? a > b : a < b);
    const path = [];
    let best = null;
    ended.forEach((trial, index) => {
      const value = trial.values[chosen];
      if (trial.state === "complete" && Number.isFinite(value) && (best === null || better(value, best))) {
        if (best !== null) path.push([x(index + 1), y(best)]);
        best = value;
        path.push([x(index + 1), y(best)]);
      }
    });
    if (best !== null) svg.append(line([...path, [area.right, y(best)]], { class: "so-far" }));
    const place = new Map(ended.map((trial, index) => [trial, index + 1]));
    for (const trial of backToFront(ended)) {
      const value = trial.values[chosen];
      svg.append(mark(trial, x(place.get(trial)), Number.isFinite(value) ? y(value) : area.bottom));
    }
  },

  curves(host) {
    const [svg, width] = canvas(host, 300, "Value of each trial after each evaluation");
    const area = { left: 62, right: width - 12, top: 24, bottom: 254 };
    const points = trials.flatMap((trial) => trial.curves[chosen]);
    const last = Math.max(1, ...points.map((point) => point[0]));
    const x = linear([0, last], [area.left, area.right], Math.min(10, width / 70));
    const y = valueScale(chosen, [area.bottom, area.top], points.map((point) => point[1]));
    frame(svg, area, x, y, { x: `${sweep.unit}s`, y: sweep.objectives[chosen].metric });
    for (const step of sweep.rung_steps) svg.append(line([[x(step), area.top], [x(step), area.bottom]], { class: "rule" }));
    for (const trial of backToFront(trials)) {
      const curve = trial.curves[chosen].filter((point) => Number.isFinite(point[1]));
      if (!curve.length) continue;
      const pixels = curve.map(([step, value]) => [x(step), y(value)]);
      svg.append(line(pixels, { class: classes(trial, "line"), "data-trial": trial.number, style: `stroke:${shade(trial)}` }));
      svg.append(mark(trial, ...pixels.at(-1), 3.5));
    }
  },

  rungs(host) {
    const [svg, width] = canvas(host, 34 * sweep.rungs.length + 8, "Trials judged at each rung and how many went on");
    const most = Math.max(...sweep.rungs.map((rung) => rung[1]));
    const x = linear([0, most], [92, width - 150]);
    sweep.rungs.forEach(([rung, judged, stopped], index) => {
      const y = 34 * index + 6;
      const on = judged - stopped;
      svg.append(text(84, y + 16, `${sweep.unit} ${rung}`, { "text-anchor": "end", class: "name" }));
      svg.append(draw("rect", { x: 92, y, width: x(judged) - 92, height: 22, rx: 3, class: "bar-back" }));
      svg.append(draw("rect", { x: 92, y, width: Math.max(x(on) - 92, 0), height: 22, rx: 3, class: "bar-front" }));
      svg.append(text(x(judged) + 8, y + 16, index === sweep.rungs.length - 1 && !stopped ? `${judged} finished` : `${on} of ${judged} went on`));
    });
  },

  importances(host) {
    const shares = sweep.importances[chosen].slice(0, 10).filter((share) => share[1] >= 0.005);
    if (!shares.length) return host.replaceChildren("Nothing is known of this objective yet.");
    const [svg, width] = canvas(host, 28 * shares.length + 8, "Importance of each parameter");
    const left = Math.min(width * 0.45, 16 + 7 * Math.max(...shares.map((share) => labelOf[share[0]].length)));
    const most = shares[0][1];
    shares.forEach(([name, share], index) => {
      const y = 28 * index + 4;
      svg.append(text(left - 8, y + 15, labelOf[name], { "text-anchor": "end", class: "name" }));
      svg.append(draw("rect", { x: left, y, width: Math.max(1, (share / most) * (width - left - 60)), height: 20, rx: 3, class: "bar-front" }));
      svg.append(text(left + (share / most) * (width - left - 60) + 8, y + 15, `${Math.round(100 * share)} %`));
    });
  },

  slices(host) {
    const grid = document.createElement("div");
    grid.className = "grid";
    host.replaceChildren(grid);
    const cells = sweep.telling[chosen].slice(0, 24).map((name) => [axisOf[name], document.createElement("div")]);
    grid.append(...cells.map(([, cell]) => cell)); // all of them before any is drawn, as they share the width
    for (const [axis, cell] of cells) {
      const [svg, width] = canvas(cell, 210, `${sweep.objectives[chosen].metric} over ${axis.label}`);
      const area = { left: 48, right: width - 10, top: 24, bottom: 164 };
      const x = scaleOf(axis, [area.left + 8, area.right - 8]);
      const y = valueScale(chosen, [area.bottom, area.top]);
      frame(svg, area, x, y, { x: axis.label });
      for (const trial of backToFront(trials))
        if (axis.name in trial.params && Number.isFinite(trial.values[chosen]))
          svg.append(mark(trial, x(trial.params[axis.name]), y(trial.values[chosen]), 4));
    }
  },

  pareto(host) {
    const grid = document.createElement("div");
    grid.className = "pair";
    host.replaceChildren(grid);
    for (let second = 1; second < sweep.objectives.length; second++) {
      const cell = document.createElement("div");
      grid.append(cell);
      const [svg, width] = canvas(cell, 340, "Trials by two objectives, with those that no other beats joined by a line");
      const area = { left: 62, right: width - 12, top: 24, bottom: 294 };
      const x = valueScale(second, [area.left, area.right]);
      const y = valueScale(0, [area.bottom, area.top]);
      const name = (index) => `${sweep.objectives[index].metric} (${sweep.objectives[index].mode})`;
      frame(svg, area, x, y, { x: name(second), y: name(0) });
      const at = (trial) => [x(trial.values[second]), y(trial.values[0])];
      const known = trials.filter((trial) => Number.isFinite(trial.values[0]) && Number.isFinite(trial.values[second]));
      const front = sweep.front.map((number) => trialOf.get(number)).sort((a, b) => a.values[second] - b.values[second]);
      if (sweep.objectives.length === 2 && front.length > 1) svg.append(line(front.map(at), { class: "so-far" }));
      for (const trial of backToFront(known)) svg.append(mark(trial, ...at(trial)));
      for (const trial of front) svg.append(draw("circle", { cx: at(trial)[0], cy: at(trial)[1], r: 9, class: "axis", style: "stroke:var(--best)" }));
    }
  },

  anchors(host) {
    const [svg, width] = canvas(host, 300, "Widths and heights of training boxes, with anchors over them");
    const area = { left: 62, right: width - 12, top: 24, bottom: 254 };
    const sizes = [...sweep.anchors.boxes, ...sweep.anchors.sets.flatMap((set) => set.sizes)];
    const span = (index) => { const [low, high] = extent(sizes.map((size) => size[index])); return [low / 1.15, high * 1.15]; };
    const x = logarithmic(span(0), [area.left, area.right]);
    const y = logarithmic(span(1), [area.bottom, area.top]);
    frame(svg, area, x, y, { x: "width in pixels of the network's input", y: "height" });
    for (const [w, h] of sweep.anchors.boxes) svg.append(draw("circle", { cx: x(w), cy: y(h), r: 3, class: "box" }));
    sweep.anchors.sets.forEach((set, index) => {
      const [color, side, turn] = index === 0 ? ["var(--text)", 9, 45] : ["var(--best)", 9, 0];
      for (const [w, h] of set.sizes) {
        const rect = draw("rect", { x: x(w) - side / 2, y: y(h) - side / 2, width: side, height: side, transform: `rotate(${turn} ${x(w)} ${y(h)})` });
        rect.setAttribute("style", `fill:none;stroke:${color};stroke-width:2`);
        rect.append(draw("title", {}, `${set.label}: ${short(w)} x ${short(h)}`));
        svg.append(rect);
      }
    });
  },

  parallel(host) {
    const shown = trials.filter((trial) => Number.isFinite(trial.values[chosen]));
    const names = sweep.telling[chosen].slice(0, Math.max(2, Math.min(9, Math.floor(host.clientWidth / 100))));
    const gaps = shown.some((trial) => names.some((name) => !(name in trial.params)));
    const [svg, width] = canvas(host, gaps ? 364 : 334, "Each trial as a line over its parameters and its value");
    const [top, bottom, missing] = [34, 320, 348];
    const value = { name: "", label: sweep.objectives[chosen].metric };
    const axes = [...names.map((name) => axisOf[name]), value];
    const left = 60;
    const x = (index) => left + (index * (width - left - 60)) / Math.max(1, axes.length - 1);
    const scales = axes.map((axis) => (axis === value ? valueScale(chosen, [bottom, top]) : scaleOf(axis, [bottom, top])));
    const place = (trial, index) => {
      const known = axes[index] === value ? trial.values[chosen] : trial.params[axes[index].name];
      return known === undefined || known === null ? missing : scales[index](known);
    };
    for (const trial of backToFront(shown)) {
      const points = axes.map((_, index) => [x(index), place(trial, index)]);
      svg.append(line(points, { class: classes(trial, "line"), "data-trial": trial.number, style: `stroke:${shade(trial)}` }));
    }
    const room = Math.floor((width - left - 60) / Math.max(1, axes.length - 1) / 7.2);
    axes.forEach((axis, index) => {
      const label = axis.label.length > room ? "…" + axis.label.slice(1 - room) : axis.label;
      svg.append(line([[x(index), top], [x(index), bottom]], { class: "axis", style: "stroke:var(--quiet)" }));
      svg.append(text(x(index), top - 16, label, { "text-anchor": "middle", class: "name" }, draw("title", {}, axis.name || axis.label)));
      for (const tick of scales[index].ticks) {
        const name = short(tick);
        svg.append(text(x(index) + 6, scales[index](tick) + 4, name.length > room ? name.slice(0, room - 1) + "…" : name, { class: "tick" }));
      }
      brush(svg, axis, x(index), [top, bottom], shown, (trial) => place(trial, index));
    });
    if (gaps) svg.append(text(x(0) - 8, missing + 4, "not set", { "text-anchor": "end" }));
  },
};

// Dragging along an axis keeps the trials that pass there; a click on the axis lets all pass again.
function brush(svg, axis, x, [top, bottom], shown, place) {
  const box = draw("rect", { x: x - 9, width: 18, y: top, height: 0, class: "brush", visibility: "hidden" });
  const grip = draw("rect", { x: x - 12, width: 24, y: top - 6, height: bottom - top + 12, class: "catch" });
  const where = (event) => Math.min(bottom + 6, Math.max(top - 6, event.clientY - svg.getBoundingClientRect().top));
  const show = (from, to) => {
    box.setAttribute("y", from);
    box.setAttribute("height", to - from);
    box.setAttribute("visibility", "visible");
  };
  const old = filters.get(axis.name);
  if (old) show(...old.range);
  let start = null;
  grip.addEventListener("pointerdown", (event) => { start = where(event); grip.setPointerCapture(event.pointerId); event.preventDefault(); });
  grip.addEventListener("pointermove", (event) => {
    if (start === null) return;
    const [from, to] = extent([start, where(event)]);
    if (to - from < 4) return;
    show(from, to);
    filters.set(axis.name, { range: [from, to], pass: new Set(shown.filter((trial) => place(trial) >= from && place(trial) <= to).map((trial) => trial.number)) });
    applyFilters();
  });
  grip.addEventListener("pointerup", (event) => {
    if (Math.abs(where(event) - start) < 4) { filters.delete(axis.name); box.setAttribute("visibility", "hidden"); applyFilters(); }
    start = null;
  });
  svg.append(box, grip);
}

// ---- what links the plots ---------------------------------------------------------------------------------------------

const ofTrial = (number) => document.querySelectorAll(`[data-trial="${number}"]`);

function applyFilters() {
  const lists = [...filters.values()];
  for (const node of document.querySelectorAll("[data-trial]"))
    node.classList.toggle("out", lists.some((filter) => !filter.pass.has(Number(node.dataset.trial))));
}

function rank() {
  const sign = sweep.objectives[chosen].mode === "max" ? 1 : -1;
  const known = trials.filter((trial) => Number.isFinite(trial.values[chosen])).sort((a, b) => sign * (a.values[chosen] - b.values[chosen]));
  for (const trial of trials) trial.goodness = 0;
  known.forEach((trial, index) => (trial.goodness = known.length > 1 ? index / (known.length - 1) : 1));
}

function redraw() {
  rank();
  for (const host of document.querySelectorAll("[data-plot]")) plots[host.dataset.plot](host);
  applyFilters();
  if (pinned !== null) light(pinned, true);
}

function light(number, on) {
  for (const node of ofTrial(number)) node.classList.toggle("hot", on);
}

function tell(trial, event) {
  const tip = document.getElementById("tip");
  const list = document.createElement("dl");
  const add = (name, value) => {
    const [term, fact] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    fact.textContent = short(value);
    list.append(term, fact);
  };
  sweep.objectives.forEach((objective, index) => add(objective.metric, trial.values[index]));
  for (const [name, value] of Object.entries({ ...trial.params, ...trial.facts })) add(labelOf[name] ?? name, value);
  const head = document.createElement("b");
  const notes = isNotable(trial).map((note) => `, ${note}`).join("");
  head.textContent = `Trial ${trial.number} (${trial.state}${notes}, ${trial.steps} ${sweep.unit}s)`;
  tip.replaceChildren(head, list, ...(trial.reason ? [trial.reason] : []));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - box.width - 8)}px`;
  tip.style.top = `${event.clientY + 14 + box.height > innerHeight ? Math.max(8, event.clientY - box.height - 10) : event.clientY + 14}px`;
}

const trialUnder = (event) => event.target.closest?.("[data-trial]");
document.addEventListener("pointerover", (event) => {
  const node = trialUnder(event);
  if (!node) return;
  light(node.dataset.trial, true);
  if (node.closest("svg")) tell(trialOf.get(Number(node.dataset.trial)), event);
});
document.addEventListener("pointerout", (event) => {
  const node = trialUnder(event);
  if (!node) return;
  if (node.dataset.trial !== pinned) light(node.dataset.trial, false);
  document.getElementById("tip").hidden = true;
});
document.addEventListener("click", (event) => {
  const node = trialUnder(event);
  if (!node) return;
  if (pinned !== null) light(pinned, false);
  pinned = pinned === node.dataset.trial ? null : node.dataset.trial;
  if (pinned !== null) light(pinned, true);
});

document.getElementById("objective")?.addEventListener("change", (event) => {
  chosen = event.target.selectedIndex;
  filters.clear();
  redraw();
});
document.getElementById("clear").addEventListener("click", () => {
  filters.clear();
  if (pinned !== null) light(pinned, false);
  pinned = null;
  redraw();
});

for (const button of document.querySelectorAll("#trials th button"))
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = (row) => row.children[head.cellIndex].dataset.key ?? "";
    const order = (a, b) => (key(a) === "") - (key(b) === "") || (up ? 1 : -1) * (key(a) - key(b) || key(a).localeCompare(key(b)));
    const body = document.querySelector("#trials tbody");
    body.append(...[...body.children].sort(order));
  });

let width = document.body.clientWidth;
redraw();
new ResizeObserver(() => {
  if (Math.abs(document.body.clientWidth - width) < 2) return;
  width = document.body.clientWidth;
  requestAnimationFrame(redraw);
}).observe(document.body);
