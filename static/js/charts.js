"use strict";
/* Charts of one signal each over an hour. A line where values were reconstructed, a dot where one was sent,
   nothing where there was none, a hatched foot where records were incomplete. */
(() => {
  const HEIGHT = 132;

  /* `marked`: from when to when something happened, Unix seconds. */
  function create(figure, zone, marked) {
    const { label, unit, digits } = figure.dataset;
    const box = figure.querySelector(".plot");
    const output = figure.querySelector("output");
    const data = { times: [], values: [], sent: [] };
    let incomplete = [];
    let plot = null;
    let range = [0, 1];
    const silence = 20;

    const columns = () => [data.times, data.values, data.values.map((value, place) => (data.sent[place] ? value : null))];

    function options() {
      const axis = { stroke: Convoy.colour("--quiet"), grid: { stroke: Convoy.colour("--grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
      return {
        width: Math.max(200, box.clientWidth), height: HEIGHT, legend: { show: false },
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone || "UTC"),
        cursor: { sync: { key: "hour" }, y: false, points: { show: false }, drag: { x: false, y: false } },
        scales: { x: { time: true, range: shownPeriod }, y: { range: limits } },
        axes: [
          { ...axis, space: 70, size: 26, values: [[3600, "{HH}:{mm}"], [60, "{HH}:{mm}"], [1, "{HH}:{mm}:{ss}"]] },
          { ...axis, size: 46, space: 22 },
        ],
        series: [
          {},
          { label, stroke: Convoy.colour("--made"), width: 1.6, spanGaps: false, points: { show: false } },
          { label: "sent", stroke: Convoy.colour("--sent"), width: 0, paths: () => null, points: { show: true, size: 3.5, width: 0, fill: Convoy.colour("--sent"), stroke: Convoy.colour("--sent"), filter: sentOnly } },
        ],
        hooks: { setCursor: [tell], drawClear: [drawMarked], draw: [drawIncomplete] },
      };
    }

    const sentOnly = () => { const places = []; data.sent.forEach((sent, place) => { if (sent) places.push(place); }); return places; };

    /* The hour, or less while there is less: a vehicle new today should not be a line at the edge. */
    function shownPeriod() {
      const first = data.times[0] ?? range[0];
      return [Math.max(range[0], Math.min(first, range[1] - 300)), range[1]];
    }

    function limits(_, low, high) {
      if (low === null || high === null) return [0, 1];
      const room = Math.max((high - low) * 0.12, 5 * 10 ** -Number(digits));
      return [low >= 0 && low < (high - low) ? 0 : low - room, high + room];
    }

    function drawMarked(u) {
      if (!marked) return;
      const { ctx, bbox } = u;
      const left = Math.max(u.valToPos(marked[0], "x", true), bbox.left), right = Math.min(u.valToPos(marked[1], "x", true), bbox.left + bbox.width);
      ctx.save();
      ctx.fillStyle = Convoy.colour("--bad-soft");
      ctx.fillRect(left - 3, bbox.top, Math.max(right - left, 0) + 6, bbox.height);
      ctx.restore();
    }

    function drawIncomplete(u) {
      const { ctx, bbox } = u;
      ctx.save();
      ctx.fillStyle = Convoy.colour("--lost");
      for (const [from, to] of incomplete) {
        const left = u.valToPos(from - 0.5, "x", true), right = u.valToPos(to + 0.5, "x", true);
        const begin = Math.max(left, bbox.left), end = Math.min(Math.max(right, left + 3), bbox.left + bbox.width);
        for (let x = begin; x < end; x += 4) ctx.fillRect(x, bbox.top + bbox.height - 6, 2, 6);
      }
      ctx.restore();
    }

    function tell(u) {
      const place = u.cursor.idx;
      if (place === null || place === undefined || u.cursor.left < 0) { newest(); return; }
      const value = data.values[place];
      const time = new Date(data.times[place] * 1000).toLocaleTimeString("en-GB", { timeZone: zone });
      const lost = incomplete.some(([from, to]) => data.times[place] >= from && data.times[place] <= to);
      const how = lost ? "incomplete" : data.sent[place] ? "sent" : "reconstructed";
      Convoy.setText(output, value === null || value === undefined ? `${time} no value` : `${time}  ${Convoy.number(value, Number(digits))} ${unit} ${how}`);
    }

    function newest() {
      for (let place = data.values.length - 1; place >= 0; place -= 1) {
        if (data.values[place] !== null) { Convoy.setText(output, `${Convoy.number(data.values[place], Number(digits))} ${unit}`); return; }
      }
      Convoy.setText(output, "");
    }

    function draw() {
      if (!plot) {
        box.replaceChildren();
        plot = new uPlot(options(), columns(), box);
      } else {
        plot.setData(columns());
      }
      newest();
    }

    function set(answer) {
      const line = answer.signals[figure.dataset.signal];
      if (!line) return;
      Object.assign(data, { times: line.times, values: line.values, sent: line.sent });
      incomplete = answer.incomplete;
      range = [answer.begin, answer.end];
      box.classList.toggle("none", !line.values.some((value) => value !== null));
      draw();
    }

    function push(record, until) {
      const last = data.times.at(-1) ?? 0;
      if (record.timestamp <= last) return;
      const value = record[figure.dataset.signal];
      if (last && record.timestamp - last > silence) { data.times.push(last + 0.001); data.values.push(null); data.sent.push(0); }
      data.times.push(record.timestamp);
      data.values.push(value ?? null);
      data.sent.push(value !== undefined && !record.reconstructed.includes(figure.dataset.signal) ? 1 : 0);
      if (record.quality === "incomplete") incomplete.push([record.timestamp, record.timestamp]);
      range = [until - 3600, until];
      while (data.times.length && data.times[0] < range[0]) { data.times.shift(); data.values.shift(); data.sent.shift(); }
    }

    function fail() { if (!plot) box.innerHTML = '<p class="veil">Could not be loaded. Trying again …</p>'; }
    function repaint() { if (plot) { plot.destroy(); plot = null; draw(); } }

    new ResizeObserver(() => plot?.setSize({ width: Math.max(200, box.clientWidth), height: HEIGHT })).observe(box);
    Convoy.dark.addEventListener("change", repaint);
    return { figure, set, push, draw, fail, destroy: () => { plot?.destroy(); figure.remove(); } };
  }

  Convoy.chart = create;
})();
