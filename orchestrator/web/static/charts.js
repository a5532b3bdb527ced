// Draws each figure that carries a chart's data; the table beneath it says the same to who sees no chart.
"use strict";

const drawn = new Map();

// What lies between two marks on an axis: of counts, and of times (no shorter than the clock says, in seconds).
const WHOLE = [1, 2, 5].flatMap((n) => [...Array(10).keys()].map((power) => n * 10 ** power)).sort((a, b) => a - b);
const TIMES = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200]
  .concat([1, 2, 5, 7, 14, 28, 91, 182, 365].map((days) => 86400 * days));

const words = {
  usd: (v) => (v === 0 ? "$0" : Math.abs(v) >= 1 ? `$${v.toFixed(2)}` : `$${v.toPrecision(2)}`),
  share: (v) => `${+(100 * v).toFixed(1)}%`,
  seconds: (v) => `${v} s`,
  count: (v) => v.toLocaleString("en"),
  number: (v) => `${+v.toFixed(3)}`,
};

function draw(figure) {
  const chart = JSON.parse(figure.dataset.chart);
  const css = getComputedStyle(document.documentElement);
  const colour = (name) => css.getPropertyValue(`--${name}`).trim();
  // The layers of a stack lie on each other: the last one is drawn first, as the sum of all.
  const sums = chart.x.map(() => 0);
  const values = chart.series.map((one) =>
    one.kind === "layer" ? one.values.map((v, n) => (sums[n] += v ?? 0)) : one.values,
  );
  const order = chart.series.map((_, n) => n).sort((a, b) => layer(b) - layer(a) || (layer(a) ? b - a : a - b));
  function layer(n) {
    return chart.series[n].kind === "layer" ? 1 : 0;
  }
  const bars = chart.series.filter((one) => one.kind === "bars").length;
  let bar = 0;
  const series = order.map((n) => {
    const one = chart.series[n];
    const stroke = colour(one.colour);
    const spec = { label: one.name, stroke, width: 2, points: { show: chart.x.length < 3 } };
    if (one.kind === "layer") Object.assign(spec, { fill: stroke, width: 0, points: { show: false } });
    if (one.dashed) spec.dash = [6, 4];
    if (one.kind === "steps") spec.paths = uPlot.paths.stepped({ align: 1 });
    if (one.kind === "bars") {
      const place = bar++;
      Object.assign(spec, { fill: stroke, width: 0, points: { show: false } });
      spec.paths = uPlot.paths.bars({
        disp: {
          x0: { unit: 2, values: (u, s, from, to) => chart.x.slice(from, to + 1).map((_, n) => at(n, place, bars)) },
          size: { unit: 2, values: (u, s, from, to) => chart.x.slice(from, to + 1).map(() => 0.8 / bars / step(u)) },
        },
      });
      function step(u) {
        return u.scales.x.max - u.scales.x.min;
      }
      function at(n, which, of) {
        return (chart.x[n] - 0.4 + (0.8 * which) / of - plot.scales.x.min) / step(plot);
      }
    }
    return spec;
  });
  const text = { stroke: colour("dim"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line") } };
  const [first, last] = [chart.x[0], chart.x.at(-1)];
  const said = chart.labels.length ? (v) => chart.labels[v] ?? "" : (words[chart.x_unit] ?? ((v) => clock(v, last - first)));
  // One place alone stands in the middle: of a day, or of a bar's neighbours.
  const room = bars ? (first < last ? 0.6 : 1.5) : first < last ? 0 : chart.x_unit === "time" ? 43200 : 1;
  const places = bars || first === last ? { splits: chart.x } : chart.x_unit === "time" ? { space: 84, incrs: TIMES } : {};
  const marks = Object.entries(chart.marks);
  const options = {
    width: figure.clientWidth,
    height: 240,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: chart.x_unit === "time", range: () => [first - room, last + room] },
      y: { range: (u, low, high) => [0, high > 0 ? high * 1.05 : 1] },
    },
    // Of the last label on the axis, half stands beside it.
    padding: [null, 28, null, null],
    axes: [
      { ...text, ...places, values: (u, splits) => splits.map((v) => (v === null ? "" : said(v))) },
      { ...text, size: 72, values: (u, splits) => splits.map(words[chart.y_unit]), ...(chart.y_unit === "count" && { incrs: WHOLE }) },
    ],
    series: [{}, ...series],
    hooks: { draw: [(u) => marks.forEach(([, value]) => mark(u, value, colour("bad")))] },
  };
  let plot = null;
  const holder = figure.querySelector(".plot");
  holder.replaceChildren();
  drawn.get(figure)?.destroy();
  plot = new uPlot(options, [chart.x, ...order.map((n) => values[n])], (u, init) => {
    plot = u;
    init();
    holder.append(u.root);
  });
  drawn.set(figure, plot);
}

// A time by day where the chart spans days, else by the clock.
function clock(seconds, span) {
  const at = new Date(1000 * seconds);
  if (span > 2 * 86400 || span === 0) return at.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  const parts = { hour: "2-digit", minute: "2-digit", ...(span < 600 && { second: "2-digit" }) };
  return at.toLocaleTimeString("en-GB", parts);
}

function mark(u, value, stroke) {
  const x = u.valToPos(value, "x", true);
  u.ctx.save();
  u.ctx.strokeStyle = stroke;
  u.ctx.setLineDash([]);
  u.ctx.lineWidth = 2 * devicePixelRatio;
  u.ctx.beginPath();
  u.ctx.moveTo(x, u.bbox.top);
  u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
  u.ctx.stroke();
  u.ctx.restore();
}

function drawAll() {
  for (const [figure, plot] of drawn) {
    if (!figure.isConnected) {
      plot.destroy();
      drawn.delete(figure);
    }
  }
  document.querySelectorAll("[data-chart]").forEach(draw);
}

drawAll();
document.addEventListener("htmx:afterSwap", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
addEventListener("resize", drawAll);
