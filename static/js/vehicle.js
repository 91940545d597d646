"use strict";
/* The vehicle page: gauges, charts, track and log, each right by polling and quick by pushes. */
(() => {
  const panel = document.getElementById("now");
  const id = Number(panel.dataset.vehicle);
  const offlineAfter = Number(panel.dataset.offlineAfter);
  Convoy.setClock(panel.dataset.now);

  // --- head and gauges -------------------------------------------------------------------------------
  const field = (name, root = panel) => root.querySelector(`[data-field="${name}"]`);
  let newest = Number(panel.querySelector("[data-time]")?.dataset.time || 0);

  function takeRecord(record) {
    if (record.vehicle_id !== id || record.timestamp < newest) return;
    newest = record.timestamp;
    if (!panel.querySelector(".gauges")) { now.soon(); return; }
    showMotion(record.motion, Convoy.now());
    for (const [name, value] of Object.entries(record)) {
      if (typeof value === "number" && !["timestamp", "vehicle_id"].includes(name)) showGauge(name, value, record.reconstructed.includes(name));
    }
    const quality = field("quality");
    if (quality.dataset.quality !== record.quality) {
      quality.dataset.quality = record.quality;
      quality.querySelector("b").textContent = record.quality[0].toUpperCase() + record.quality.slice(1);
    }
  }

  function showMotion(motion, received) {
    if (received) {
      const seen = field("seen");
      seen.dataset.unix = received;
      const zone = panel.querySelector(".zone").textContent;
      Convoy.setText(field("seen-at"), new Date(received * 1000).toLocaleString("en-GB", { timeZone: zone, weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" }).replace(",", ""));
    }
    const badge = field("badge");
    if (badge.dataset.state === motion) return;
    badge.dataset.state = badge.querySelector("i").dataset.state = panel.querySelector(".who-is").dataset.state = motion;
    Convoy.setText(field("motion"), Convoy.motionLabel(motion));
  }

  function showGauge(name, value, reconstructed) {
    const gauge = panel.querySelector(`.gauge[data-signal="${CSS.escape(name)}"]`);
    if (!gauge) { now.soon(); return; }
    Convoy.setText(field("value", gauge), Convoy.reading(name, value, Number(gauge.dataset.digits)));
    const origin = gauge.querySelector(".origin");
    const word = reconstructed ? "reconstructed" : "sent";
    if (origin.dataset.origin !== word) { origin.dataset.origin = word; origin.textContent = word; }
    const bar = gauge.querySelector(".fill");
    if (!bar) return;
    const low = Number(gauge.dataset.low), high = Number(gauge.dataset.high);
    const at = (v) => ((Math.min(Math.max(v, low), high) - low) / (high - low)) * 100;
    bar.setAttribute("x", Math.min(at(0), at(value)));
    bar.setAttribute("width", Math.abs(at(value) - at(0)));
  }

  // --- charts ----------------------------------------------------------------------------------------
  const holder = document.getElementById("charts");
  const zone = holder.dataset.zone;
  const charts = [...holder.querySelectorAll(".chart")].map((figure) => Convoy.chart(figure, zone));
  const none = document.getElementById("charts-empty");
  let end = null; // a fixed hour of the past, or null: the last hour

  async function loadCharts() {
    const names = charts.map((chart) => chart.figure.dataset.signal).join(",");
    try {
      const answer = await Convoy.get(`${holder.dataset.url}?signals=${names}${end ? `&end=${end}` : ""}`);
      for (const chart of charts) chart.set(answer);
      none.hidden = answer.records > 0;
      holder.hidden = answer.records === 0;
    } catch { charts.forEach((chart) => chart.fail()); }
  }
  document.getElementById("charts-last").addEventListener("click", (event) => {
    end = Number(event.target.dataset.end);
    document.getElementById("charts-title").textContent = "Last hour with records";
    holder.hidden = false;
    loadCharts();
  });
  document.getElementById("further")?.addEventListener("change", (event) => {
    const option = event.target.selectedOptions[0];
    if (charts.length > 3) charts.pop().destroy();
    if (option.value) {
      const figure = holder.firstElementChild.cloneNode(true);
      figure.querySelector(".plot").replaceChildren();
      figure.querySelector("figcaption").firstChild.textContent = `${option.dataset.label} `;
      figure.querySelector("small").textContent = option.dataset.unit;
      Object.assign(figure.dataset, { signal: option.value, ...option.dataset });
      holder.append(figure);
      charts.push(Convoy.chart(figure, zone));
      loadCharts();
    }
  });

  // --- track -----------------------------------------------------------------------------------------
  const element = document.getElementById("map");
  const veil = document.getElementById("map-veil");
  const day = document.getElementById("day");
  const today = day.max;
  const map = Convoy.map(element);
  const lines = L.layerGroup().addTo(map);
  const marker = new Convoy.FleetLayer({ labels: false }).addTo(map);
  let track = null;
  let tail = null;
  let fitted = false;
  let growing = null;

  function drawTrack() {
    lines.clearLayers();
    growing = null;
    Convoy.speeds.draw(track.lines, lines);
  }

  async function loadTrack() {
    try {
      track = await Convoy.get(`${element.dataset.url}?day=${day.value}`);
    } catch {
      if (!track) { veil.hidden = false; veil.textContent = "The track could not be loaded. Trying again …"; }
      return;
    }
    drawTrack();
    const points = track.lines.flat();
    tail = points.at(-1) || null;
    veil.hidden = points.length > 0;
    veil.textContent = day.value !== today ? "No positions on this day." : "private" in element.dataset ? "It is private: no positions." : "No positions today.";
    Convoy.setText(document.getElementById("track-length"), points.length ? `${track.distance_km.toLocaleString("en")} km driven` : "");
    if (!fitted && points.length) map.fitBounds(L.latLngBounds(points.map((point) => [point[1], point[2]])).pad(0.08), { maxZoom: 16, animate: false });
    fitted ||= points.length > 0;
  }

  function place(record, glide) {
    const { lat, lng } = element.dataset;
    if (record) marker.update(id, { state: record.motion, lat: record.latitude, lng: record.longitude, heading: record.heading, speed: record.speed }, glide);
    else if (lat !== "") {
      marker.update(id, { state: element.dataset.state, lat: Number(lat), lng: Number(lng), heading: Number(element.dataset.heading || 0), speed: 0 }, false);
      map.setView([Number(lat), Number(lng)], 15, { animate: false });
    }
  }

  /* Nobody is to see where it is: neither its marker, nor what was drawn of its way meanwhile. */
  function hide() {
    if (!marker.latLng(id)) return;
    marker.update(id, { state: field("badge").dataset.state, lat: null, lng: null }, false);
    loadTrack();
  }

  function grow(record) {
    if (!track || day.value !== today || !Number.isFinite(record.latitude) || !Number.isFinite(record.longitude)) return;
    const from = tail;
    const metres = from ? map.distance([from[1], from[2]], [record.latitude, record.longitude]) : 0;
    if (from && (record.timestamp <= from[0] || metres < 4)) return;
    tail = [record.timestamp, record.latitude, record.longitude, record.speed];
    if (!from || metres > 400) { growing = null; return; }
    const kind = Convoy.speeds.of(record.speed);
    if (!growing || growing.kind !== kind) {
      growing = { kind, line: L.polyline([[from[1], from[2]]], { color: Convoy.speeds.colour(kind), weight: 4, interactive: false }).addTo(lines) };
    }
    growing.line.addLatLng([record.latitude, record.longitude]);
  }
  day.addEventListener("change", () => { if (day.value) { fitted = false; track = null; loadTrack(); } });

  Convoy.speeds.legend(document.getElementById("speeds"));

  // --- log -------------------------------------------------------------------------------------------
  const log = document.getElementById("log");
  function takeLog(message) {
    log.querySelector(".quiet")?.remove();
    const line = document.createElement("li");
    const time = document.createElement("time");
    time.textContent = new Date(message.timestamp * 1000).toLocaleTimeString("en-GB", { timeZone: zone });
    line.dataset.level = message.log_type;
    line.append(time, ` ${message.message}`);
    log.prepend(line);
    while (log.children.length > 30) log.lastElementChild.remove();
  }

  // --- the whole -------------------------------------------------------------------------------------
  function takeLive(record) {
    if (record.vehicle_id !== id) return;
    takeRecord(record);
    place(record, true);
    grow(record);
    if (!end) { charts.forEach((chart) => chart.push(record, Math.max(record.timestamp, Convoy.now()))); changed = true; }
    if (holder.hidden && !end) { holder.hidden = false; none.hidden = true; loadCharts(); }
  }
  let changed = false;
  setInterval(() => {
    if (changed && !document.hidden) { changed = false; charts.forEach((chart) => chart.draw()); }
    const seen = field("seen");
    if (seen && Convoy.now() - Number(seen.dataset.unix) > offlineAfter && field("badge").dataset.state !== "offline") {
      showMotion("offline");
      marker.update(id, { state: "offline" }, false);
    }
  }, 1000);

  const showCommands = () => { if (document.getElementById("command-list")) htmx.trigger("#command-list", "refresh"); };
  const now = Convoy.poll(() => htmx.trigger(panel, "refresh"), 45, 10);
  Convoy.poll(loadCharts, 60, 30);
  Convoy.poll(() => { if (day.value === today || !track) loadTrack(); }, 90, 60);
  Convoy.poll(() => htmx.trigger("#saved", "refresh"), 30, 30);
  panel.addEventListener("htmx:afterSwap", () => {
    newest = Number(panel.querySelector("[data-time]")?.dataset.time || 0);
    Convoy.age();
  });
  Convoy.dark.addEventListener("change", () => track && drawTrack());
  Convoy.connect({
    history: (message) => { const last = message.data.filter((record) => record.vehicle_id === id).at(-1); if (last) { takeRecord({ ...last, motion: last.motion || field("badge").dataset.state }); } },
    telemetry_batch: (message) => message.data.forEach(takeLive),
    log: takeLog,
    commands_changed: showCommands,
    private: ({ data }) => { if (data.vehicle_ids.includes(id)) hide(); },
    back: () => { loadCharts(); showCommands(); },
  });
  place(null, false);
  loadCharts();
  loadTrack();
})();
