"use strict";
// Draws the page's figures from its JSON. Texts of a trace are untrusted: they are inserted as text nodes only.
(() => {
  const root = document.documentElement;
  const note = (text) => { root.dataset.errors = `${root.dataset.errors || ""}${text}\n`; };
  addEventListener("error", (event) => note(event.message));
  addEventListener("unhandledrejection", (event) => note(String(event.reason)));
  addEventListener("securitypolicyviolation", (event) => note(`policy: ${event.violatedDirective}`));

  const content = JSON.parse(document.getElementById("content").textContent);

  // ---- elements ----
  const filled = (node, attributes, children) => {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  };
  const html = (name, attributes, ...children) => filled(document.createElement(name), attributes, children);
  const svg = (name, attributes, ...children) =>
    filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
  const text = (x, y, words, attributes) => svg("text", { x, y, ...attributes }, words);

  // ---- numbers and texts ----
  const three = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
  const show = (value) => {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    return size && (size < 1e-3 || size >= 1e9) ? value.toExponential(2) : three.format(value);
  };
  const duration = (seconds) => {
    const [scale, unit] = seconds >= 1 ? [1, "s"] : seconds >= 1e-3 ? [1e-3, "ms"] : [1e-6, "µs"];
    return `${show(seconds / scale)} ${unit}`;
  };
  const valueIn = (unit, value) => (unit === "seconds" ? duration(value) : `${show(value)}${unit === "percent" ? " %" : ""}`);
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = "12px system-ui, sans-serif";
  const widthOf = (words) => pen.measureText(words).width;
  const fitted = (words, most) => {
    if (widthOf(words) <= most) return words;
    let n = words.length;
    while (n > 1 && widthOf(`${words.slice(0, n)}…`) > most) n -= 1;
    return `${words.slice(0, n)}…`;
  };
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  // ---- axes ----
  const ticks = (low, high, n) => {
    if (!(high > low)) return [low];
    const raw = (high - low) / Math.max(n, 1), power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw * (1 - 1e-9));
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) found.push(Number((k * step).toPrecision(12)));
    return found;
  };
  const logTicks = (low, high, n) => {
    const decades = Math.log10(high / low), factors = decades < 1.5 ? [1, 2, 5] : [1], found = [];
    const every = Math.max(1, Math.ceil(decades / Math.max(n, 1)));
    for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k += every) {
      for (const factor of factors) {
        const value = Number(`${factor}e${k}`);
        if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) found.push(value);
      }
    }
    return found;
  };
  const scale = (low, high, from, to, isLog) => {
    const f = isLog ? Math.log10 : (value) => value, first = f(low), span = f(high) - first || 1;
    const at = (value) => from + ((f(value) - first) / span) * (to - from);
    at.inverse = (place) => {
      const value = first + ((place - from) / (to - from)) * span;
      return isLog ? 10 ** value : value;
    };
    at.ticks = (n) => (isLog ? logTicks(low, high, n) : ticks(low, high, n));
    return at;
  };
  const xAxis = (x, label, box, words = show) => {
    const marks = x.ticks(clamp(Math.floor((box.right - box.left) / 70), 3, 12));
    return svg("g", { class: "axis" },
      ...marks.map((value) => svg("line", { class: "grid", x1: x(value), x2: x(value), y1: box.top, y2: box.bottom })),
      ...marks.map((value) => text(x(value), box.bottom + 16, words(value), { "text-anchor": "middle" })),
      text(box.right, box.bottom + 34, label, { class: "label", "text-anchor": "end" }));
  };
  const yAxis = (y, marks, label, box) => svg("g", { class: "axis" },
    ...marks.map((value) => svg("line", { class: "grid", x1: box.left, x2: box.right, y1: y(value), y2: y(value) })),
    ...marks.map((value) => text(box.left - 8, y(value) + 4, show(value), { "text-anchor": "end" })),
    text(0, 12, label, { class: "label" }));
  const canvas = (width, height, title) =>
    svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": title });

  const DASHES = [null, "7 3", "2 2.5", "9 3 2 3", "4 2 1 2 1 2"];
  const MARKERS = [
    (x, y) => svg("circle", { cx: x, cy: y, r: 3.5 }),
    (x, y) => svg("rect", { x: x - 3.2, y: y - 3.2, width: 6.4, height: 6.4 }),
    (x, y) => svg("path", { d: `M${x} ${y - 4.2}l4 7h-8z` }),
    (x, y) => svg("path", { d: `M${x} ${y - 4.6}l4.6 4.6l-4.6 4.6l-4.6 -4.6z` }),
    (x, y) => svg("path", { d: `M${x} ${y + 4.2}l4 -7h-8z` }),
  ];
  const look = (at) => `s${at % 8}`;
  const marker = (at, x, y) => {
    const found = MARKERS[at % MARKERS.length](x, y);
    found.setAttribute("class", `marker ${look(at)}`);
    return found;
  };
  const swatchLine = (at) => svg("svg", { class: "swatch", width: 26, height: 10, viewBox: "0 0 26 10", "aria-hidden": "true" },
    svg("line", { class: `line ${look(at)}`, x1: 0, x2: 26, y1: 5, y2: 5, "stroke-dasharray": DASHES[at % DASHES.length] }),
    marker(at, 13, 5));
  const swatchBar = (kind) => svg("svg", { class: "swatch", width: 12, height: 12, viewBox: "0 0 12 12", "aria-hidden": "true" },
    svg("rect", { class: `bar ${kind}`, width: 12, height: 12, rx: 2 }));

  // ---- colours and patterns of parts of time and energy ----
  const HUES = {
    "computing": "compute", "compute": "compute", "queueing for compute": "queue", "queue": "queue", "idling": "queue",
    "waiting for a batch": "stage", "waiting for the slowest": "straggle", "on the air": "air", "air": "air",
    "sending": "air", "repeating on the air": "repeat", "on wires": "wire", "wire": "wire", "receiving": "wire",
    "on recorded links": "recorded", "recorded": "recorded", "queueing for network": "queue2",
    "handling messages": "handle", "endpoint": "handle", "waiting for memory": "memory", "wait": "memory",
    "all_reduce": "sum", "during control traffic": "sum", "emit": "emit",
  };
  const WORK = {
    compute: "computing", air: "on the air", wire: "on wires", recorded: "on recorded links", all_reduce: "sums of a group",
    endpoint: "handling messages", wait: "waiting for memory", emit: "token delivered",
  };
  const hue = (name, at) => (Object.hasOwn(HUES, name) ? HUES[name] : look(at + 4));

  // ---- figures: (view, width, state) -> drawing, data, legend, readings ----
  const UNKNOWN = { words: "–", value: -1 };
  const unbroken = (points, isKnown) => {
    const runs = [[]];
    for (const point of points) if (isKnown(point)) runs.at(-1).push(point); else if (runs.at(-1).length) runs.push([]);
    return runs.filter((run) => run.length);
  };
  const drawLines = (view, width, state, title) => {
    const all = view.series, shown = all.filter((one) => !state.hidden.has(one.name));
    const isLog = view.x.log, texts = view.x.texts || null;
    const xs = shown.flatMap((one) => one.x).filter((value) => value !== null && (!isLog || value > 0));
    const ys = shown.flatMap((one) => [...one.y, ...(one.low || []), ...(one.high || [])]).filter((value) => value !== null);
    let low = view.y.low ?? Math.min(...ys), high = view.y.high ?? Math.max(...ys);
    if (!ys.length) [low, high] = [0, 1];
    if (high <= low) high = low + (Math.abs(low) || 1);
    const height = clamp(width * 0.5, 250, 400);
    const marks = ticks(low, high, 5);
    if (view.y.high === undefined && marks.length > 1 && marks.at(-1) < high) marks.push(Number((2 * marks.at(-1) - marks.at(-2)).toPrecision(12)));
    high = Math.max(high, marks.at(-1));
    const isDirect = !view.step && width > 520 && shown.length < 9 && shown.every((one) => one.x.length <= 30);
    const room = isDirect ? Math.min(0.24 * width, Math.max(...shown.map((one) => widthOf(one.name)), 0)) + 16 : 14;
    const box = { left: Math.max(...marks.map((value) => widthOf(show(value)))) + 14, right: width - room, top: 26, bottom: height - 42 };
    const pad = texts ? 0.3 : 0;
    const x = xs.length ? scale(Math.min(...xs) - pad, Math.max(...xs) + pad, box.left, box.right, isLog) : scale(0, 1, box.left, box.right, false);
    if (texts) x.ticks = () => texts.map((_, at) => at);
    const y = scale(low, high, box.bottom, box.top, false);
    const drawn = canvas(width, height, title);
    drawn.append(xAxis(x, view.x.label, box, texts ? (value) => fitted(texts[value] ?? "", (box.right - box.left) / texts.length - 6) : show));
    drawn.append(yAxis(y, marks, view.y.label, box));
    const ends = [];
    for (const one of shown) {
      const points = one.x.map((value, at) => [value, one.y[at], at]).filter(([at]) => at !== null && (!isLog || at > 0));
      const runs = unbroken(points, ([, value]) => value !== null);
      const known = runs.flat();
      if (one.low) for (const run of unbroken(points, ([, value, at]) => value !== null && one.low[at] !== null && one.high[at] !== null)) {
        const up = run.map(([value, , at]) => `${x(value)} ${y(Math.min(one.high[at], high))}`);
        const down = run.map(([value, , at]) => `${x(value)} ${y(Math.max(one.low[at], low))}`).reverse();
        if (run.length > 1) drawn.append(svg("path", { class: `band ${look(one.at)}`, d: `M${[...up, ...down].join("L")}Z` }));
        else drawn.append(svg("line", { class: `line lone ${look(one.at)}`, x1: x(run[0][0]), x2: x(run[0][0]), y1: y(Math.max(one.low[run[0][2]], low)), y2: y(Math.min(one.high[run[0][2]], high)) }));
      }
      const path = runs.flatMap((run) => run.map(([value, share], at) => {
        const to = `${x(value).toFixed(1)} ${y(share).toFixed(1)}`;
        if (!at) return `M${to}`;
        return view.step ? `H${x(value).toFixed(1)}V${y(share).toFixed(1)}` : `L${to}`;
      }));
      // Lines drawn first are wider, so that coinciding lines all stay visible.
      drawn.append(svg("path", { class: `line ${look(one.at)}`, d: path.join(""), "stroke-dasharray": DASHES[one.at % DASHES.length], "stroke-width": Math.max(1.6, 3 - 0.25 * one.at) }));
      if (!view.step) for (const run of runs) if (known.length <= 30 || run.length === 1) for (const [value, share] of run) drawn.append(marker(one.at, x(value), y(share)));
      if (isDirect && known.length) ends.push({ one, at: y(known.at(-1)[1]), x: known.at(-1)[0] === Math.max(...xs) ? box.right : x(known.at(-1)[0]) });
    }
    for (const place of new Set(ends.map((end) => end.x))) {
      const own = ends.filter((end) => end.x === place).sort((a, b) => a.at - b.at);
      own.forEach((end, at) => { if (at) end.at = Math.max(end.at, own[at - 1].at + 14); });
      const over = own.at(-1).at - box.bottom;
      own.toReversed().forEach((end, at, list) => { if (over > 0) end.at = Math.min(end.at, at ? list[at - 1].at - 14 : box.bottom); });
    }
    for (const end of ends) drawn.append(text(end.x + 8, end.at + 4, fitted(end.one.name, room - 12), { class: `end ${look(end.one.at)}` }));
    const cursor = svg("line", { class: "cursor", y1: box.top, y2: box.bottom, x1: -9, x2: -9 });
    drawn.append(cursor);
    const stops = [...new Set(xs)].sort((a, b) => a - b);
    // A line has values at its x only; a step is valid until the next one, and indefinitely once it is 1.
    const valueAt = (one, at) => {
      let k = one.x.indexOf(at);
      if (view.step) one.x.forEach((value, j) => { if (value !== null && value <= at) k = j; });
      if (k < 0) return view.step ? { words: "0", value: 0 } : UNKNOWN;
      const isPast = view.step && at > one.x.findLast((value) => value !== null) && one.y[k] < 1;
      if (isPast || one.y[k] === null) return UNKNOWN;
      const span = one.low && one.low[k] !== null && one.high[k] !== null ? ` [${show(one.low[k])}, ${show(one.high[k])}]` : "";
      return { words: `${show(one.y[k])}${span}`, value: one.y[k] };
    };
    const read = (px) => {
      if (!stops.length) return null;
      const wanted = x.inverse(clamp(px, box.left, box.right));
      const at = view.step ? wanted : stops.reduce((best, value) => (Math.abs(value - wanted) < Math.abs(best - wanted) ? value : best), stops[0]);
      cursor.setAttribute("x1", x(at));
      cursor.setAttribute("x2", x(at));
      return {
        x: x(at), y: box.top, head: texts ? `${view.x.label} ${texts[at]}` : `${show(at)} ${view.x.label}`,
        lines: shown.map((one) => {
          const { words, value } = valueAt(one, at);
          return [one.name, words, look(one.at), value];
        }).sort((a, b) => b[3] - a[3]),
      };
    };
    const hasBand = all.some((one) => one.low);
    return {
      drawn, read, move: (px, step) => { const k = stops.findIndex((value) => x(value) >= px - 0.5); return x(stops[clamp((k < 0 ? stops.length - 1 : k) + step, 0, stops.length - 1)] ?? 0); },
      legend: all.map((one) => ({ name: one.name, swatch: () => swatchLine(one.at) })),
      table: { head: ["series", view.x.label, view.y.label, ...(hasBand ? ["low", "high"] : [])], rows: all.flatMap((one) => one.x.map((value, at) => [one.name, texts ? texts[value] : value, one.y[at], ...(hasBand ? [one.low?.[at] ?? null, one.high?.[at] ?? null] : [])])) },
    };
  };

  const nameRoom = (names, width) => Math.min(Math.max(...names.map(widthOf), 20) + 14, width * 0.36);
  const rowLabel = (name, room, y) => svg("g", { class: "axis" }, text(room - 10, y + 4, fitted(name, room - 12), { class: "row", "text-anchor": "end" }), svg("title", {}, name));

  const drawDots = (view, width, state, title) => {
    const rows = view.rows, room = nameRoom(rows.map((row) => row.name), width);
    const words = rows.map((row) => (row.mean === undefined ? `> ${valueIn(view.unit, row.least)}` : valueIn(view.unit, row.mean)));
    const values = rows.flatMap((row) => [row.mean, row.low, row.high, row.least]).filter((value) => typeof value === "number");
    let low = Math.min(...values), high = Math.max(...values);
    const isLog = low > 0 && high / low > 30, pad = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
    if (isLog) { low /= 1.15; high *= 1.15; } else { low = low >= 0 && low < 0.5 * high ? 0 : low - pad; high += pad; }
    const box = { left: room, right: width - Math.max(...words.map(widthOf)) - 22, top: 8, bottom: 8 + 32 * rows.length };
    const x = scale(low, high, box.left, box.right, isLog), drawn = canvas(width, box.bottom + 42, title);
    drawn.append(xAxis(x, `${view.unit || view.label}${isLog ? ", logarithmic" : ""}`, box));
    const spots = [];
    rows.forEach((row, at) => {
      const y = box.top + 32 * at + 16, centre = row.mean ?? row.least;
      drawn.append(rowLabel(row.name, room, y));
      if (typeof row.low === "number") {
        drawn.append(svg("line", { class: `interval ${look(row.at)}`, x1: x(Math.max(row.low, low)), x2: x(Math.min(row.high, high)), y1: y, y2: y }));
        for (const end of [row.low, row.high]) drawn.append(svg("line", { class: `whisker ${look(row.at)}`, x1: x(clamp(end, low, high)), x2: x(clamp(end, low, high)), y1: y - 5, y2: y + 5 }));
      }
      if (row.mean === undefined) drawn.append(svg("path", { class: `interval ${look(row.at)}`, d: `M${x(centre)} ${y}H${box.right}m-7 -4l7 4l-7 4`, fill: "none", "stroke-dasharray": "2 3" }));
      drawn.append(marker(row.at, x(centre), y), text(width, y + 4, words[at], { class: "value", "text-anchor": "end" }));
      spots.push({ x0: 0, x1: width, y0: y - 16, y1: y + 16, x: x(centre), y: y - 10, head: row.name, lines: [[view.label, words[at]], ...(typeof row.low === "number" ? [["95 % interval", `${valueIn(view.unit, row.low)} to ${valueIn(view.unit, row.high)}`]] : [])] });
    });
    return { drawn, spots, legend: [], table: { head: ["strategy", `${view.label}${view.unit ? ` [${view.unit}]` : ""}`, "low", "high", "at least"], rows: rows.map((row) => [row.name, row.mean ?? null, row.low ?? null, row.high ?? null, row.least ?? null]) } };
  };

  const drawStacks = (view, width, state, title) => {
    const parts = view.parts.map((name, at) => ({ name, at })).filter((part) => !state.hidden.has(part.name));
    const total = (row) => parts.reduce((sum, part) => sum + row.values[part.at], 0);
    const most = Math.max(...view.rows.map(total), 1e-12), room = nameRoom(view.rows.map((row) => row.name), width);
    const words = view.rows.map((row) => valueIn(view.unit, total(row)));
    const box = { left: room, right: width - Math.max(...words.map(widthOf)) - 14, top: 6, bottom: 6 + 34 * view.rows.length };
    const x = scale(0, most, box.left, box.right, false), drawn = canvas(width, box.bottom + 42, title), spots = [];
    drawn.append(xAxis(x, view.unit, box));
    view.rows.forEach((row, at) => {
      const y = box.top + 34 * at + 5;
      let sum = 0;
      drawn.append(rowLabel(row.name, room, y + 12));
      for (const part of parts) {
        const value = row.values[part.at], from = x(sum), to = x(sum + value), kind = hue(part.name, part.at);
        sum += value;
        if (to - from < 0.2) continue;
        drawn.append(svg("rect", { class: `bar ${kind}`, x: from, y, width: Math.max(to - from - 0.8, 0.4), height: 24 }));
        const label = fitted(part.name, to - from - 10);
        if (to - from > 34 && label === part.name) drawn.append(text((from + to) / 2, y + 16, label, { class: `inside on-${kind}`, "text-anchor": "middle" }));
        spots.push({ x0: from, x1: to, y0: y - 5, y1: y + 29, x: (from + to) / 2, y, head: row.name, lines: [[part.name, `${valueIn(view.unit, value)} (${show((100 * value) / total(row))} %)`, kind]] });
      }
      drawn.append(text(x(sum) + 8, y + 16, words[at], { class: "value" }));
    });
    return { drawn, spots, legend: view.parts.map((name, at) => ({ name, swatch: () => swatchBar(hue(name, at)) })), table: { head: [`${view.unit} of`, ...view.parts], rows: view.rows.map((row) => [row.name, ...row.values]) } };
  };

  const drawHeat = (view, width, state, title) => {
    const room = nameRoom(view.rows.map((row) => row.name), width), pitch = view.rows.length > 20 ? 16 : 22;
    const [from, until] = view.x.edges, n = view.rows[0].values.length, spots = [];
    const box = { left: room, right: width - 12, top: 6, bottom: 6 + pitch * view.rows.length };
    const x = scale(from, until, box.left, box.right, false), drawn = canvas(width, box.bottom + 42, title);
    const edge = (k) => from + ((until - from) * k) / n;
    view.rows.forEach((row, at) => {
      const y = box.top + pitch * at;
      drawn.append(rowLabel(row.name, room, y + pitch / 2), svg("rect", { class: "track", x: box.left, y: y + 1, width: box.right - box.left, height: pitch - 2 }));
      for (let k = 0, end; k < n; k = end) {
        end = k + 1;
        while (end < n && row.values[end] === row.values[k]) end += 1;
        if (row.values[k]) drawn.append(svg("rect", { class: "heat", x: x(edge(k)), y: y + 1, width: x(edge(end)) - x(edge(k)), height: pitch - 2, "fill-opacity": (0.12 + (0.88 * row.values[k]) / 100).toFixed(2) }));
      }
      spots.push({ x0: box.left, x1: box.right, y0: y, y1: y + pitch, y, head: row.name, at: (px) => {
        const k = clamp(Math.floor((n * (px - box.left)) / (box.right - box.left)), 0, n - 1);
        return [[`${show(edge(k))} to ${show(edge(k + 1))} s`, `${row.values[k]} % busy`]];
      } });
    });
    drawn.append(xAxis(x, view.x.label, { ...box, top: box.bottom }));
    return { drawn, spots, legend: [], table: { head: ["device", ...Array.from({ length: n }, (_, k) => `${show(edge(k))} s`)], rows: view.rows.map((row) => [row.name, ...row.values]) } };
  };

  const drawMap = (view, width, state, title, figure) => {
    const { nodes, links, cells } = figure, isKnown = figure.is_known;
    const xs = nodes.flatMap((node) => [node.x, ...node.track.filter((_, at) => at % 2 === 0)]);
    const ys = nodes.flatMap((node) => [node.y, ...node.track.filter((_, at) => at % 2 === 1)]);
    let [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const size = Math.max(x1 - x0, y1 - y0, 1e-9), margin = 54;
    if (y1 - y0 < 0.3 * size) { const extra = (0.3 * size - (y1 - y0)) / 2; y0 -= extra; y1 += extra; }
    if (x1 - x0 < 0.3 * size) { const extra = (0.3 * size - (x1 - x0)) / 2; x0 -= extra; x1 += extra; }
    const unit = Math.min((width - 2 * margin) / (x1 - x0), 460 / (y1 - y0));
    const height = Math.max(unit * (y1 - y0) + 2 * margin, 180), drawn = canvas(width, height, title);
    const px = (value) => width / 2 + (value - (x0 + x1) / 2) * unit, py = (value) => height / 2 - (value - (y0 + y1) / 2) * unit;
    // A cell whose range exceeds all corners has no visible edge.
    const farthest = (x, y) => Math.max(...[0, width].flatMap((a) => [0, height].map((b) => Math.hypot(px(x) - a, py(y) - b))));
    const edged = cells.filter((cell) => cell.reach * unit < farthest(nodes[cell.at].x, nodes[cell.at].y));
    for (const kind of ["cell", "edge"]) drawn.append(svg("g", { class: `${kind}s` }, ...edged.map((cell) => svg("circle", { class: kind, cx: px(nodes[cell.at].x), cy: py(nodes[cell.at].y), r: cell.reach * unit }))));
    for (const { track } of nodes) if (track.length > 2) drawn.append(svg("polyline", { class: "way", points: track.map((value, at) => (at % 2 ? py(value) : px(value))).join(" ") }));
    const spots = [], isMany = nodes.length > 60;
    links.forEach((link, at) => {
      const a = nodes[link.ends[0]], b = nodes[link.ends[1]], use = view.use[at] ?? 0;
      drawn.append(svg("line", { class: `link ${link.kind}`, x1: px(a.x), y1: py(a.y), x2: px(b.x), y2: py(b.y), "stroke-width": (1 + 5 * Math.min(use, 1)).toFixed(1), "stroke-dasharray": link.kind === "radio" ? "5 4" : null }));
      spots.push({ near: [px(a.x), py(a.y), px(b.x), py(b.y)], x: (px(a.x) + px(b.x)) / 2, y: (py(a.y) + py(b.y)) / 2, head: `${a.name} – ${b.name}`, lines: [["kind", link.kind], ...(link.rate ? [["rate", `${show(link.rate / 1e6)} Mbit/s`]] : []), ["hops under way, mean", show(use)]] });
    });
    const r = isMany ? 5 : 9;
    const labels = [];
    nodes.forEach((node, at) => {
      const busy = view.busy[at], x = px(node.x), y = py(node.y), inner = svg("circle", { class: busy === null ? "node bare" : "node", cx: x, cy: y, r });
      drawn.append(inner);
      if (busy) {
        const angle = 2 * Math.PI * Math.min(busy, 0.9999), ring = r + 3.5;
        drawn.append(svg("path", { class: "ring", d: `M${x} ${y - ring}A${ring} ${ring} 0 ${busy > 0.5 ? 1 : 0} 1 ${x + ring * Math.sin(angle)} ${y - ring * Math.cos(angle)}` }));
      }
      const half = widthOf(node.name) / 2 + 4;
      for (const below of [r + 17, -(r + 9)]) {
        const place = { x0: x - half, x1: x + half, y0: y + below - 11, y1: y + below + 3 };
        const isFree = !labels.some((other) => place.x0 < other.x1 && other.x0 < place.x1 && place.y0 < other.y1 && other.y0 < place.y1);
        if (isFree && place.x0 >= 0 && place.x1 <= width && place.y1 <= height) {
          labels.push(place);
          drawn.append(text(x, y + below, node.name, { class: "row halo", "text-anchor": "middle" }));
          break;
        }
      }
      spots.unshift({ x0: x - r - 4, x1: x + r + 4, y0: y - r - 4, y1: y + r + 4, x, y: y - r, head: node.name, lines: [...(node.kind ? [["kind", node.kind]] : []), ["busy", busy === null ? "computes nothing" : `${show(100 * busy)} % of the time`]] });
    });
    if (isKnown) {
      const length = ticks(0, (x1 - x0) / 3, 2).at(-1);
      if (length > 0) drawn.append(svg("path", { class: "rule", d: `M14 ${height - 14}h${length * unit}` }), text(14, height - 20, `${show(length)} m`, { class: "label" }));
    }
    return { drawn, spots, legend: [], table: { head: ["what", "kind", "busy, or hops under way"], rows: [...nodes.map((node, at) => [node.name, node.kind, view.busy[at]]), ...links.map((link, at) => [`${nodes[link.ends[0]].name} – ${nodes[link.ends[1]].name}`, link.kind, view.use[at] ?? 0])] } };
  };

  const drawGantt = (view, width, state, title) => {
    const request = view.requests[state.request] || view.requests[0], names = view.names, rows = new Map();
    if (!request) return { drawn: canvas(width, 60, title), spots: [], legend: [], table: { head: [], rows: [] } };
    const flat = request.spans, spans = [];
    for (let k = 0; k < flat.length; k += 7) {
      const [device, peer, kind, token, asked, queue, length] = flat.slice(k, k + 7), work = view.work[kind];
      const row = peer < 0 ? names[device] : `${names[device]} → ${names[peer]}`;
      if (!rows.has(row)) rows.set(row, rows.size);
      spans.push({ row: rows.get(row), name: row, work, token, asked, queue, length });
    }
    const last = Math.max(request.length ?? 0, ...spans.map((span) => span.asked + Math.max(span.queue, 0) + Math.max(span.length, 0)), 1);
    const [from, until] = state.range || [0, last], pitch = rows.size > 14 ? 18 : 24;
    const room = nameRoom([...rows.keys(), "x"], width), box = { left: room, right: width - 12, top: 20, bottom: 20 + pitch * Math.max(rows.size, 1) };
    const x = scale(from / 1e6, until / 1e6, box.left, box.right, false), drawn = canvas(width, box.bottom + 42, title), spots = [];
    const place = (micros) => clamp(x(micros / 1e6), box.left, box.right);
    drawn.append(xAxis(x, "seconds since arrival", box));
    for (const [row, at] of rows) {
      if (at % 2 === 0) drawn.prepend(svg("rect", { class: "stripe", x: 0, y: box.top + pitch * at, width, height: pitch }));
      drawn.append(rowLabel(row, room, box.top + pitch * at + pitch / 2));
    }
    const seen = new Map();
    for (const span of spans) {
      const begun = span.asked + Math.max(span.queue, 0), ended = span.queue < 0 ? begun : span.length < 0 ? last : begun + span.length;
      if (ended < from || span.asked > until) continue;
      const y = box.top + pitch * span.row, a = place(span.asked), b = place(begun), c = place(ended);
      if (b - a > 0.3) { drawn.append(svg("rect", { class: "bar queue", x: a, y: y + pitch / 2 - 2, width: b - a, height: 4 })); seen.set("queue", "queueing"); }
      if (span.work === "emit") { drawn.append(svg("path", { class: "emit", d: `M${c} ${y + 9}l-4 -8h8z` })); }
      // Sums overlap a group's pass: they are drawn as a stripe along its lower edge.
      else if (span.queue >= 0 && span.work === "all_reduce") drawn.append(svg("rect", { class: "bar sum", x: b, y: y + pitch - 7, width: Math.max(c - b, 0.7), height: 3 }));
      else if (span.queue >= 0) drawn.append(svg("rect", { class: `bar ${hue(span.work, 0)}`, x: b, y: y + 4, width: Math.max(c - b, 0.7), height: pitch - 8, rx: c - b > 6 ? 2 : 0 }));
      seen.set(span.work, WORK[span.work]);
      spots.unshift({ x0: a - 2, x1: Math.max(c, a + 2) + 2, y0: y, y1: y + pitch, x: (b + c) / 2, y, head: span.name, lines: [[WORK[span.work], span.length < 0 ? "not ended in the run" : duration(span.length / 1e6), hue(span.work, 0)], ...(span.queue > 0 ? [["queued", duration(span.queue / 1e6)]] : []), ["from", `${duration(begun / 1e6)} after arrival`], ...(span.token >= 0 ? [["token", span.token === 0 ? "0 (prompt)" : String(span.token)]] : [])] });
    }
    const table = { head: ["where", "what", "token", "asked_us", "queued_us", "length_us"], rows: spans.map((span) => [span.name, WORK[span.work], span.token, span.asked, span.queue, span.length]) };
    return { drawn, spots, zoom: { x, box, last }, fixed: true, legend: [...seen].map(([work, name]) => ({ name, swatch: () => swatchBar(hue(work, 0)) })), table };
  };

  const KINDS = { lines: drawLines, dots: drawDots, stacks: drawStacks, heat: drawHeat, map: drawMap, gantt: drawGantt };

  // ---- saving ----
  const STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "opacity", "font-family", "font-size", "font-weight", "paint-order", "stroke-linejoin", "stroke-linecap"];
  const settled = (source) => {
    const copy = source.cloneNode(true), from = [source, ...source.querySelectorAll("*")], to = [copy, ...copy.querySelectorAll("*")];
    from.forEach((node, at) => {
      const style = getComputedStyle(node);
      for (const name of STYLES) to[at].setAttribute(name, style.getPropertyValue(name));
      to[at].removeAttribute("class");
    });
    return copy;
  };
  const standalone = (figure) => {
    const source = figure.plot.querySelector("svg"), copy = settled(source);
    const width = source.viewBox.baseVal.width;
    let height = source.viewBox.baseVal.height, x = 8;
    const words = getComputedStyle(figure.node).color, keys = svg("g", {});
    for (const key of figure.legend.children) {
      const name = key.textContent, swatch = key.querySelector("svg"), wide = 40 + widthOf(name) + 14;
      if (key.getAttribute("aria-pressed") === "false" || !swatch) continue;
      if (x > 8 && x + wide > width) { x = 8; height += 20; }
      const own = settled(swatch);
      own.setAttribute("x", x);
      own.setAttribute("y", height + 5);
      keys.append(own, text(x + 32, height + 14, name, { fill: words, "font-size": 12, "font-family": "system-ui, sans-serif" }));
      x += wide;
    }
    if (keys.children.length) height += 28;
    copy.prepend(svg("title", {}, figure.title), svg("desc", {}, content.source), svg("rect", { width: "100%", height: "100%", fill: getComputedStyle(figure.node).backgroundColor }));
    copy.append(keys);
    for (const [name, value] of Object.entries({ xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${width} ${height}`, width, height })) copy.setAttribute(name, value);
    return { words: new XMLSerializer().serializeToString(copy), width, height };
  };
  const save = (blob, name) => {
    const link = html("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1e4);
  };
  const savers = {
    SVG: (figure) => save(new Blob([standalone(figure).words], { type: "image/svg+xml" }), `${figure.name}.svg`),
    PNG: (figure) => {
      const { words, width, height } = standalone(figure), image = new Image(), factor = 3;
      const address = URL.createObjectURL(new Blob([words], { type: "image/svg+xml" }));
      image.onload = () => {
        const board = html("canvas", { width: width * factor, height: height * factor });
        board.getContext("2d").drawImage(image, 0, 0, width * factor, height * factor);
        board.toBlob((blob) => save(blob, `${figure.name}.png`));
        URL.revokeObjectURL(address);
      };
      image.src = address;
    },
    CSV: (figure) => {
      const cell = (value) => { const words = String(value ?? ""); return /[",\r\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words; };
      const { head, rows } = figure.result.table;
      save(new Blob([[head, ...rows].map((row) => row.map(cell).join(",")).join("\n"), "\n"], { type: "text/csv" }), `${figure.name}.csv`);
    },
  };

  // ---- a figure of the page: controls, plot, legend, tip, table ----
  const MOST_ROWS = 400;
  const build = (node) => {
    const name = node.dataset.figure, data = content.figures[name], draw = KINDS[data.kind];
    const state = { view: data.first || 0, hidden: new Set(data.hidden || []), request: 0, range: null, width: 0 };
    const plot = html("div", { class: "plot", tabindex: 0, "aria-label": `${data.title}. The table below it holds its data.`, role: "group" });
    const legend = html("div", { class: "legend" }), tip = html("div", { class: "tip", role: "status", hidden: "" });
    const controls = html("div", { class: "controls" }), shown = html("p", { class: "shown" }), tables = html("details", { class: "data" }, html("summary", {}, "Data as a table"));
    const figure = { node, name, title: data.title, plot, legend };
    const select = (label, options, change) => {
      const chooser = html("select", {}, ...options);
      chooser.addEventListener("change", () => change(chooser.value));
      controls.append(html("label", {}, html("span", {}, label), chooser));
      return chooser;
    };
    const button = (words, label, act) => { const found = html("button", { type: "button", "aria-label": label, title: label }, words); found.addEventListener("click", act); return found; };
    const hide = () => { tip.hidden = true; };
    const showReading = (reading) => {
      if (!reading) return hide();
      tip.replaceChildren(html("strong", {}, reading.head), html("table", {}, html("tbody", {}, ...reading.lines.map(([what, value, kind]) => html("tr", {}, html("td", {}, html("i", { class: kind ? `key ${kind}` : "key" }), what), html("td", {}, value))))));
      tip.hidden = false;
      const ratio = plot.clientWidth / state.width, wide = tip.offsetWidth, x = reading.x * ratio;
      tip.style.left = `${clamp(x + 14 + wide > plot.clientWidth ? x - wide - 14 : x + 14, 0, Math.max(plot.clientWidth - wide, 0))}px`;
      tip.style.top = `${Math.max(reading.y * ratio, 0)}px`;
    };
    const away = (spot, x, y) => {
      const [ax, ay, bx, by] = spot.near, size = (bx - ax) ** 2 + (by - ay) ** 2 || 1, t = clamp(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / size, 0, 1);
      return Math.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay));
    };
    const readingAt = (x, y) => {
      const { read, spots } = figure.result;
      if (read) return read(x);
      const found = spots.find((spot) => (spot.near ? away(spot, x, y) < 5 : x >= spot.x0 && x <= spot.x1 && y >= spot.y0 && y <= spot.y1));
      return found && { head: found.head, lines: found.at ? found.at(x) : found.lines, x: found.at ? x : clamp(found.x, 0, state.width), y: found.y };
    };
    const inPlot = (event) => { const area = plot.querySelector("svg").getBoundingClientRect(), ratio = state.width / area.width; return [(event.clientX - area.left) * ratio, (event.clientY - area.top) * ratio]; };
    const fill = () => {
      if (!tables.open) return;
      const { head, rows } = figure.result.table, cells = (row, kind) => row.map((value) => html(kind, {}, typeof value === "number" ? show(value) : String(value ?? "–")));
      tables.replaceChildren(tables.firstChild, html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Data of ${data.title}` }, html("table", {}, html("thead", {}, html("tr", {}, ...cells(head, "th"))), html("tbody", {}, ...rows.slice(0, MOST_ROWS).map((row) => html("tr", {}, ...cells(row, "td")))))), ...(rows.length > MOST_ROWS ? [html("p", { class: "note" }, `The first ${MOST_ROWS} of ${rows.length} rows; the CSV file has all.`)] : []));
    };
    figure.draw = (width) => {
      state.width = Math.max(Math.round(width), 260);
      figure.result = draw(data.views[state.view], state.width, state, data.title, data);
      shown.textContent = [...controls.querySelectorAll("select")].map((one) => one.selectedOptions[0]?.textContent).join(" · ");
      plot.replaceChildren(figure.result.drawn, tip);
      hide();
      legend.replaceChildren(...figure.result.legend.map(({ name: key, swatch }) => {
        if (figure.result.fixed) return html("span", {}, swatch(), key);
        const found = html("button", { type: "button", "aria-pressed": String(!state.hidden.has(key)), title: "Show or hide" }, swatch(), key);
        found.addEventListener("click", () => { if (!state.hidden.delete(key)) state.hidden.add(key); figure.draw(state.width); [...legend.children].find((child) => child.textContent === key)?.focus(); });
        return found;
      }));
      fill();
    };
    const unique = (name) => [...new Set(data.views.map((view) => view[name]))].filter((value) => value !== undefined);
    const chosen = { label: data.views[state.view].label, group: data.views[state.view].group };
    const isOf = { lines: "Show", dots: "Show", stacks: "Show" }[data.kind] || "Strategy";
    for (const [what, words] of [["label", isOf], ["group", "Over"]]) {
      if (unique(what).length > 1) select(words, unique(what).map((value) => html("option", { value, selected: value === chosen[what] ? "" : null }, value)), (value) => {
        chosen[what] = value;
        const found = data.views.findIndex((view) => view.label === chosen.label && view.group === chosen.group);
        Object.assign(state, { view: Math.max(found, 0), request: 0, range: null });
        if (figure.requests) figure.requests();
        figure.draw(state.width);
      });
    }
    if (data.kind === "gantt") {
      const chooser = select("Request", [], (value) => { state.request = Number(value); state.range = null; about(); figure.draw(state.width); });
      const facts = html("p", { class: "note" });
      const about = () => {
        const one = data.views[state.view].requests[state.request];
        facts.textContent = one ? `Request ${one.id} from ${one.source}: arrived at ${show(one.arrived)} s, prompt of ${one.prompt} tokens, ${one.tokens} delivered, ${one.outcome}${one.reason ? ` (${one.reason})` : ""}${one.length === null ? "" : ` after ${duration(one.length / 1e6)}`}.${one.cut ? ` Its last ${one.cut} spans are left out.` : ""}` : "No request arrived.";
      };
      figure.requests = () => {
        const numbered = data.views[state.view].requests.map((one, at) => [one, at]), words = (one) => `#${one.id} · ${one.length === null ? one.outcome : duration(one.length / 1e6)}${one.outcome === "failed" ? " · failed" : ""}`;
        const rest = numbered.filter(([one]) => !one.mark).sort(([a], [b]) => (b.length ?? Infinity) - (a.length ?? Infinity));
        chooser.replaceChildren(html("optgroup", { label: "Landmarks" }, ...numbered.filter(([one]) => one.mark).map(([one, at]) => html("option", { value: at }, `${one.mark} · ${words(one)}`))), html("optgroup", { label: "Others, slowest first" }, ...rest.map(([one, at]) => html("option", { value: at }, words(one)))));
        about();
      };
      const zoomBy = (factor) => { const [from, until] = state.range || [0, figure.result.zoom.last], middle = (from + until) / 2, half = ((until - from) / 2) * factor, last = figure.result.zoom.last; state.range = factor > 1 && 2 * half >= last ? null : [clamp(middle - half, 0, last), clamp(middle + half, 0, last)]; figure.draw(state.width); };
      const shift = (by) => { if (!state.range) return; const [from, until] = state.range, last = figure.result.zoom.last, step = clamp(by * (until - from), -from, last - until); state.range = [from + step, until + step]; figure.draw(state.width); };
      controls.append(html("span", { class: "zoom", role: "group", "aria-label": "Zoom" }, button("−", "Zoom out", () => zoomBy(2)), button("+", "Zoom in", () => zoomBy(0.5)), button("All", "Show the whole request", () => { state.range = null; figure.draw(state.width); })));
      node.querySelector("figcaption").append(facts);
      figure.requests();
      let pressed = null;
      plot.addEventListener("pointerdown", (event) => { pressed = inPlot(event)[0]; });
      plot.addEventListener("pointerup", (event) => {
        if (pressed === null) return;
        const { x, box } = figure.result.zoom, [a, b] = [pressed, inPlot(event)[0]].map((px) => 1e6 * x.inverse(clamp(px, box.left, box.right))).sort((p, q) => p - q);
        if (Math.abs(inPlot(event)[0] - pressed) > 8 && b > a) { state.range = [a, b]; figure.draw(state.width); }
        pressed = null;
      });
      plot.addEventListener("dblclick", () => { state.range = null; figure.draw(state.width); });
      plot.addEventListener("keydown", (event) => { const act = { ArrowLeft: () => shift(-0.25), ArrowRight: () => shift(0.25), "+": () => zoomBy(0.5), "-": () => zoomBy(2) }[event.key]; if (act) { event.preventDefault(); act(); } });
    }
    const tools = html("div", { class: "tools", role: "group", "aria-label": "Save this figure" }, ...Object.entries(savers).map(([kind, act]) => button(kind, `Save ${data.title} as ${kind}`, () => act(figure))));
    controls.append(tools);
    tables.addEventListener("toggle", fill);
    node.append(controls, shown, plot, legend, tables);
    plot.addEventListener("pointermove", (event) => showReading(readingAt(...inPlot(event))));
    plot.addEventListener("pointerleave", hide);
    plot.addEventListener("blur", hide);
    let keyed = { x: -1, at: -1 };
    plot.addEventListener("keydown", (event) => {
      if (data.kind === "gantt") return;
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (event.key === "Escape") hide();
      if (!step) return;
      event.preventDefault();
      const { read, move, spots } = figure.result;
      if (read) { keyed.x = keyed.x < 0 ? move(0, 0) : move(keyed.x, step); showReading(read(keyed.x)); }
      else if (spots.length) { keyed.at = (keyed.at + step + spots.length) % spots.length; const spot = spots[keyed.at]; showReading({ head: spot.head, lines: spot.at ? spot.at(spot.x0) : spot.lines, x: spot.x ?? spot.x0, y: spot.y }); }
    });
    figure.draw(plot.clientWidth);
    // In a separate animation frame: drawing changes heights, which a ResizeObserver callback must not do.
    const refit = () => { if (!isPrinting && plot.clientWidth && Math.abs(plot.clientWidth - state.width) > 1) figure.draw(plot.clientWidth); };
    new ResizeObserver(() => requestAnimationFrame(refit)).observe(plot);
    return figure;
  };

  let isPrinting = false;
  const figures = [...document.querySelectorAll("figure[data-figure]")].map(build);
  const PAPER_WIDTH = 680; // pixels: makes the text of a figure as large as the text around it
  addEventListener("beforeprint", () => { isPrinting = true; for (const figure of figures) figure.draw(PAPER_WIDTH); });
  addEventListener("afterprint", () => { isPrinting = false; for (const figure of figures) figure.draw(figure.plot.clientWidth); });

  // ---- tables that sort ----
  const numberIn = (words) => { const found = /[-+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?/i.exec(words); return found ? Number(found[0].replaceAll(",", "")) : NaN; };
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0], given = [...body.rows];
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      const sorter = html("button", { type: "button" }, ...head.childNodes);
      head.append(sorter);
      sorter.addEventListener("click", () => {
        const next = { ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")] || "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        if (next !== "none") head.setAttribute("aria-sort", next);
        const sign = next === "descending" ? -1 : 1, words = (row) => row.cells[at].textContent;
        const isText = given.every((row) => Number.isNaN(numberIn(words(row)))) || at === 0;
        const order = (a, b) => {
          if (isText) return sign * words(a).localeCompare(words(b));
          const [one, two] = [numberIn(words(a)), numberIn(words(b))];
          return Number.isNaN(one) - Number.isNaN(two) || sign * (one - two) || 0;
        };
        body.append(...(next === "none" ? given : [...given].sort(order)));
      });
    });
  }

  // ---- light and dark ----
  const kept = { get: () => { try { return localStorage.getItem("edgesim-theme"); } catch { return null; } }, set: (value) => { try { localStorage.setItem("edgesim-theme", value); } catch { /* a page of a file may not keep anything */ } } };
  if (["light", "dark"].includes(kept.get())) root.dataset.theme = kept.get();
  document.getElementById("theme").addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    kept.set(root.dataset.theme);
  });
  root.dataset.drawn = String(figures.length);
})();
