"use strict";
/* The trip page: route, chart and slider show the same moment; replay moves it. */
(() => {
  const HEIGHT = 190;
  const element = document.getElementById("map");
  const veil = document.getElementById("map-veil");
  const box = document.getElementById("chart");
  const zone = box.dataset.zone;
  const replay = document.getElementById("replay");
  const slider = document.getElementById("moment");
  const play = document.getElementById("play");
  const pace = document.getElementById("pace");
  const told = document.getElementById("told");
  const map = Convoy.map(element);
  const lines = L.layerGroup().addTo(map);
  const marks = L.layerGroup().addTo(map);
  const events = [...document.querySelectorAll("#events [data-event]")];
  let chosen = events.find((link) => link.getAttribute("aria-current")) ?? null;
  let points = []; // [time, latitude, longitude, km/h, charge, kW]
  let dot = null;
  let plot = null;
  let here = 0;
  let running = 0;

  const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB", { timeZone: zone });
  const figure = (value, digits, unit) => (value === null ? `– ${unit}` : `${Convoy.number(value, digits)} ${unit}`);
  const placed = (point) => point[1] !== null && point[2] !== null;

  function draw() {
    lines.clearLayers();
    const route = points.filter(placed);
    Convoy.speeds.draw([route], lines);
    const end = { radius: 6, weight: 2, color: Convoy.colour("--halo"), fillOpacity: 1, interactive: false };
    if (route.length) {
      L.circleMarker([route[0][1], route[0][2]], { ...end, fillColor: Convoy.colour("--speed-4") }).addTo(lines);
      L.circleMarker([route.at(-1)[1], route.at(-1)[2]], { ...end, fillColor: Convoy.colour("--speed-2") }).addTo(lines);
      dot = L.circleMarker([route[0][1], route[0][2]], { radius: 8, weight: 3, color: Convoy.colour("--halo"), fillColor: Convoy.colour("--accent"), fillOpacity: 1, interactive: false }).addTo(lines);
    }
    mark();
    show(here);
  }

  // --- events ----------------------------------------------------------------------------------------
  /* Where an event began: its own place, else where the vehicle was at its moment. */
  function placeOf(link) {
    if (link.dataset.lat !== "") return [Number(link.dataset.lat), Number(link.dataset.lng)];
    let at = find(Number(link.dataset.time));
    while (at > 0 && !placed(points[at])) at -= 1;
    return points.length && placed(points[at]) ? [points[at][1], points[at][2]] : null;
  }

  function mark() {
    marks.clearLayers();
    for (const link of events) {
      const place = placeOf(link);
      if (!place) continue;
      const mine = link === chosen;
      const style = { radius: mine ? 10 : 6, weight: mine ? 4 : 2, color: Convoy.colour("--bad"), fillColor: Convoy.colour("--surface"), fillOpacity: 1 };
      const circle = L.circleMarker(place, style).addTo(marks).on("click", () => choose(link));
      const words = link.closest("li").querySelector(".event-name").textContent;
      circle.bindTooltip(`${words}, ${link.textContent}`, { permanent: mine, direction: "top", offset: [0, -8] });
      if (mine) circle.bringToFront();
    }
  }

  /* On the chart: a line where each event began, the chosen one strong. */
  function moments(u) {
    u.ctx.save();
    u.ctx.fillStyle = Convoy.colour("--bad");
    for (const link of events) {
      u.ctx.globalAlpha = link === chosen ? 1 : 0.3;
      const wide = (link === chosen ? 3 : 2) * devicePixelRatio;
      u.ctx.fillRect(u.valToPos(Number(link.dataset.time), "x", true) - wide / 2, u.bbox.top, wide, u.bbox.height);
    }
    u.ctx.restore();
  }

  /* Map, chart and list show one event. */
  function choose(link) {
    stop();
    chosen = link;
    for (const one of events) if (one === link) one.setAttribute("aria-current", "true"); else one.removeAttribute("aria-current");
    history.replaceState(null, "", link.getAttribute("href").replace(/#.*/, ""));
    reveal();
  }

  function reveal() {
    mark();
    plot?.redraw(false);
    if (!chosen || !points.length) return;
    const place = placeOf(chosen);
    if (place) map.setView(place, Math.max(15, map.getZoom()), { animate: false });
    show(find(Number(chosen.dataset.time)));
  }
  for (const link of events) link.addEventListener("click", (click) => { click.preventDefault(); choose(link); element.scrollIntoView({ block: "nearest" }); });

  /* Everything at one point of the trip; `from` is who moved it. */
  function show(place, from) {
    here = Math.min(Math.max(place, 0), points.length - 1);
    const point = points[here];
    if (!point) return;
    let at = here;
    while (at > 0 && !placed(points[at])) at -= 1;
    if (dot && placed(points[at])) dot.setLatLng([points[at][1], points[at][2]]);
    if (from !== "slider") slider.value = here;
    const text = `${clock(point[0])}, ${figure(point[3], 0, "km/h")}, ${figure(point[4], 0, "%")}`;
    Convoy.setText(told, text);
    slider.setAttribute("aria-valuetext", text);
    if (plot && from !== "chart") plot.setCursor({ left: plot.valToPos(point[0], "x"), top: HEIGHT / 3 }, false);
  }

  function find(time) {
    let low = 0, high = points.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (points[middle][0] < time) low = middle + 1; else high = middle;
    }
    return low;
  }

  // --- chart -----------------------------------------------------------------------------------------
  function chart() {
    plot?.destroy();
    box.replaceChildren();
    const axis = { stroke: Convoy.colour("--quiet"), grid: { stroke: Convoy.colour("--grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const options = {
      width: Math.max(200, box.clientWidth), height: HEIGHT, legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone || "UTC"),
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: {
        x: { time: true, range: [Number(box.dataset.start), Math.max(Number(box.dataset.end), Number(box.dataset.start) + 60)] },
        y: { range: (_, low, high) => [0, Math.max(30, (high ?? 0) * 1.1)] },
        charge: { range: [0, 100] },
      },
      axes: [
        { ...axis, space: 70, size: 26, values: [[3600, "{HH}:{mm}"], [60, "{HH}:{mm}"], [1, "{HH}:{mm}:{ss}"]] },
        { ...axis, size: 46, space: 28 },
        { ...axis, scale: "charge", side: 1, size: 42, grid: { show: false } },
      ],
      series: [
        {},
        { label: "speed", stroke: Convoy.colour("--accent"), width: 1.6, points: { show: false } },
        { label: "charge", scale: "charge", stroke: Convoy.colour("--speed-5"), width: 1.6, dash: [6, 3], spanGaps: true, points: { show: false } },
      ],
      hooks: { draw: [moments], setCursor: [(u) => { if (u.cursor.event && u.cursor.idx !== null && u.cursor.left >= 0) show(u.cursor.idx, "chart"); }] },
    };
    plot = new uPlot(options, [points.map((p) => p[0]), points.map((p) => p[3]), points.map((p) => p[4])], box);
    show(here);
  }

  // --- replay ----------------------------------------------------------------------------------------
  function stop() {
    cancelAnimationFrame(running);
    running = 0;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  }

  function start() {
    if (here >= points.length - 1) here = 0;
    let began = performance.now(), from = points[here][0];
    const step = (now) => {
      const time = from + ((now - began) / 1000) * Number(pace.value);
      show(find(time));
      if (here >= points.length - 1) { stop(); return; }
      running = requestAnimationFrame(step);
    };
    pace.onchange = () => { began = performance.now(); from = points[here][0]; };
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
    running = requestAnimationFrame(step);
  }
  play.addEventListener("click", () => (running ? stop() : start()));
  slider.addEventListener("input", () => { if (running) stop(); show(Number(slider.value), "slider"); });

  // --- stops on the way ------------------------------------------------------------------------------
  function halts(found) {
    const list = document.getElementById("halts");
    list.replaceChildren(...found.map(([since, lasted]) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.className = "seek";
      button.textContent = clock(since);
      button.addEventListener("click", () => { stop(); show(find(since)); });
      item.append(button, ` stood ${lasted >= 60 ? `${Math.floor(lasted / 60)} min ${Math.round(lasted % 60)} s` : `${Math.round(lasted)} s`}`);
      return item;
    }));
    if (!found.length) {
      const item = document.createElement("li");
      item.className = "quiet";
      item.textContent = "None of half a minute or longer.";
      list.append(item);
    }
  }

  async function load() {
    let answer;
    try {
      answer = await Convoy.get(element.dataset.url);
    } catch {
      Convoy.setText(veil, "The route could not be loaded. Trying again …");
      setTimeout(load, 5000);
      return;
    }
    points = answer.points;
    const route = points.filter(placed);
    veil.hidden = route.length > 0;
    const nowhere = "private" in element.dataset ? "Private: no route is shown." : "This vehicle did not say where it was.";
    if (!route.length) Convoy.setText(veil, answer.records ? nowhere : "The records of this trip are no longer kept.");
    halts(answer.halts);
    if (!points.length) { box.innerHTML = '<p class="veil">No records.</p>'; return; }
    slider.max = points.length - 1;
    replay.hidden = false;
    draw();
    if (route.length) map.fitBounds(L.latLngBounds(route.map((point) => [point[1], point[2]])).pad(0.08), { maxZoom: 16, animate: false });
    chart();
    requestAnimationFrame(reveal); // the chart has its scales by then
  }

  Convoy.speeds.legend(document.getElementById("speeds"));
  new ResizeObserver(() => plot?.setSize({ width: Math.max(200, box.clientWidth), height: HEIGHT })).observe(box);
  Convoy.dark.addEventListener("change", () => { if (points.length) { draw(); chart(); } });
  load();
})();
