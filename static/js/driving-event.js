"use strict";
/* One driving event: speed around the moment, and where it was. The page says all of it in words as well. */
(() => {
  const holder = document.getElementById("charts");
  const { url, zone, end, seconds } = holder.dataset;
  const from = Number(holder.dataset.from), to = Number(holder.dataset.to);
  const charts = [...holder.querySelectorAll(".chart")].map((figure) => Convoy.chart(figure, zone, [from, to]));
  const element = document.getElementById("map");
  const veil = document.getElementById("map-veil");
  const place = element.dataset.lat === "" ? null : [Number(element.dataset.lat), Number(element.dataset.lng)];
  const map = Convoy.map(element);
  const lines = L.layerGroup().addTo(map);
  let way = [];

  function draw() {
    lines.clearLayers();
    const style = (name, weight) => ({ color: Convoy.colour(name), weight, opacity: 0.95, interactive: false });
    const points = way.map(([, lat, lng]) => [lat, lng]);
    L.polyline(points, style("--halo", 8)).addTo(lines);
    L.polyline(points, style("--made", 4)).addTo(lines);
    L.polyline(way.filter(([time]) => time >= from - 1 && time <= to + 1).map(([, lat, lng]) => [lat, lng]), style("--bad", 6)).addTo(lines);
    if (place) L.circleMarker(place, { ...style("--bad", 3), radius: 9, fillColor: Convoy.colour("--surface"), fillOpacity: 1 }).addTo(lines);
  }

  function show(signals) {
    const lats = signals.latitude?.values ?? [], lngs = signals.longitude?.values ?? [], times = signals.latitude?.times ?? [];
    way = times.map((time, n) => [time, lats[n], lngs[n]]).filter(([, lat, lng]) => lat !== null && lng !== null && lng !== undefined);
    draw();
    const points = [...way.map(([, lat, lng]) => [lat, lng]), ...(place ? [place] : [])];
    veil.hidden = points.length > 0;
    if (!points.length) return;
    const near = L.latLngBounds(points).pad(0.15);
    if (place) map.setView(place, Math.min(17, map.getBoundsZoom(near)), { animate: false });
    else map.fitBounds(near, { maxZoom: 17, animate: false });
  }

  async function load() {
    const names = charts.map((chart) => chart.figure.dataset.signal).join(",");
    try {
      const answer = await Convoy.get(`${url}?signals=${names},latitude,longitude&end=${end}&seconds=${seconds}`);
      for (const chart of charts) chart.set(answer);
      show(answer.signals);
    } catch {
      charts.forEach((chart) => chart.fail());
      if (place) show({});
      setTimeout(load, 10_000);
    }
  }
  Convoy.dark.addEventListener("change", draw);
  load();
})();
