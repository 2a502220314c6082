// The page's own script: it puts what the server sends where it belongs, draws graphs, and keeps ages current.
"use strict";

const COLOURS = ["#3b82f6", "#f08c2e", "#20a36b", "#d0487e", "#8b6ff0", "#16a3b8", "#b58900", "#e05252"];
const MOST_EVENTS = 500;
const LEAST_SPAN = 300; // seconds that a graph shows at least
const SILENT = 12; // seconds without a word of the tool, which reads every two, and tells after six that no answer came
const WORTH_A_MARK = new Set(["rollout", "drill", "group", "address", "alert", "cloud"]);
const tall = matchMedia("(max-width: 800px)");
const dark = matchMedia("(prefers-color-scheme: dark)");
const at = (id) => document.getElementById(id);
const graphs = {healthy: {panels: []}, measured: {panels: [], note: ""}};
let marks = [], plots = [], stream = null, heard = Date.now() / 1000;

function age(since) {
  const seconds = Math.max(0, Math.round(Date.now() / 1000 - since));
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "m"]]) {
    if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${seconds} s`;
}

function showAges() {
  for (const each of document.querySelectorAll("[data-since]")) {
    const since = Number(each.dataset.since);
    each.textContent = since ? age(since) : "";
  }
}

function showSilence() {
  at("silent").hidden = Date.now() / 1000 - heard < SILENT;
  at("silent").textContent = `✕ no word of the tool for ${age(heard)}: what is shown is as old`;
}

function showView(view) {
  const focused = document.activeElement?.id;
  const scrolled = at("machines").scrollTop;
  for (const [id, html] of Object.entries(view)) {
    if (at(id).shown !== html) {
      at(id).innerHTML = at(id).shown = html; // the server has escaped every value
    }
  }
  at("machines").scrollTop = scrolled;
  if (focused && document.activeElement?.id !== focused) at(focused)?.focus({preventScroll: true});
  showAges();
}

function colour(event) {
  if (event.subject === "rollout") return "changing";
  if (event.subject === "drill") return event.after ? "changing" : "ok";
  if (event.subject === "warning") return event.after ? "changing" : "ok";
  if (["address", "alert", "cloud"].includes(event.subject)) return event.after ? "failed" : "ok";
  return {"healthy": "ok", "HEALTHY": "ok", "not healthy": "failed", "UNHEALTHY": "failed"}[event.after] ?? "";
}

function cell(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function showEvents(events) {
  for (const event of events) {
    const item = document.createElement("li");
    const time = new Date(event.time * 1000);
    item.className = colour(event);
    item.append(cell("time", time.toTimeString().slice(0, 8)), cell("span", event.subject), cell("b", event.text));
    item.firstChild.dateTime = time.toISOString();
    at("events").prepend(item);
    if (WORTH_A_MARK.has(event.subject)) marks.push(event);
  }
  while (at("events").children.length > MOST_EVENTS) at("events").lastChild.remove();
  marks = marks.slice(-MOST_EVENTS);
  for (const plot of plots) plot.redraw();
}

function style(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}

function drawMarks(plot) {
  const {ctx, bbox, scales} = plot;
  ctx.save();
  ctx.setLineDash([4, 4]);
  for (const event of marks) {
    if (event.time < scales.x.min || event.time > scales.x.max) continue;
    const x = Math.round(plot.valToPos(event.time, "x", true));
    ctx.strokeStyle = style(`--${colour(event) || "none"}`);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function options(panel, width) {
  const axis = {stroke: style("--quiet"), grid: {stroke: style("--edge"), width: 1}, ticks: {show: false}};
  const paths = panel.stepped ? uPlot.paths.stepped({align: 1}) : undefined;
  const value = (_, number) => number == null ? "–" : `${Number(number.toPrecision(3))} ${panel.unit}`;
  return {
    title: panel.unit ? `${panel.title}, ${panel.unit}` : panel.title,
    width, height: 190,
    cursor: {sync: {key: "time"}, points: {size: 6}},
    scales: {x: {range: (_, first, last) => [Math.min(first, last - LEAST_SPAN), last]}, y: {range: (_, least, most) => [0, Math.max(1, most * 1.1)]}},
    axes: [
      {...axis, size: 32, space: 70, incrs: [60, 120, 300, 600], values: "{HH}:{mm}"},
      {...axis, size: 46, incrs: panel.stepped ? [1, 2, 5, 10, 20, 50] : undefined},
    ],
    series: [{value: (_, time) => time == null ? "" : uPlot.fmtDate("{HH}:{mm}:{ss}")(new Date(time * 1000))},
      ...panel.series.map((series, number) => ({
        label: series.name, value, paths, spanGaps: false,
        width: panel.stepped ? 2 + 1.5 * (panel.series.length - 1 - number) : 2, // a line that another covers is seen
        stroke: COLOURS[number % COLOURS.length], points: {show: false},
      }))],
    hooks: {draw: [drawMarks]},
  };
}

function showGraphs() {
  const panels = [...graphs.healthy.panels, ...graphs.measured.panels];
  const key = JSON.stringify(panels.map((panel) => [panel.title, panel.series.map((series) => series.name)]));
  const data = panels.map((panel) => [panel.times, ...panel.series.map((series) => series.values)]);
  at("note").textContent = graphs.measured.note;
  if (at("graphs").shown === key) {
    plots.forEach((plot, number) => plot.setData(data[number]));
    return;
  }
  for (const plot of plots) plot.destroy();
  at("graphs").replaceChildren(...panels.map(() => document.createElement("div")));
  const places = [...at("graphs").children];
  plots = panels.map((panel, n) => new uPlot(options(panel, places[n].clientWidth), data[n], places[n]));
  at("graphs").shown = key;
}

function redraw() {
  at("graphs").shown = null;
  showGraphs();
}

function listen() {
  stream?.close();
  at("events").replaceChildren();
  marks = [];
  stream = new EventSource(`stream?tall=${Number(tall.matches)}`);
  stream.addEventListener("open", () => { at("events").replaceChildren(); marks = []; });
  for (const kind of ["open", "view", "events", ...Object.keys(graphs)]) {
    stream.addEventListener(kind, () => { heard = Date.now() / 1000; });
  }
  stream.addEventListener("view", (message) => showView(JSON.parse(message.data)));
  stream.addEventListener("events", (message) => showEvents(JSON.parse(message.data)));
  for (const kind of Object.keys(graphs)) {
    stream.addEventListener(kind, (message) => { graphs[kind] = JSON.parse(message.data); showGraphs(); });
  }
  stream.addEventListener("error", () => {
    at("summary").shown = null;
    at("summary").textContent = "The tool does not answer: is `dashboard` still running?";
  });
}

tall.addEventListener("change", listen);
dark.addEventListener("change", redraw);
new ResizeObserver(() => {
  const places = [...at("graphs").children];
  plots.forEach((plot, n) => plot.setSize({width: places[n].clientWidth, height: 190}));
}).observe(at("graphs"));
setInterval(() => { showAges(); showSilence(); }, 1000);
listen();
