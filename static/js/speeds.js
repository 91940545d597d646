"use strict";
/* A line on the map, coloured by speed: of a vehicle's day and of a trip. */
(() => {
  const CLASSES = [[10, "--speed-1", "under 10"], [30, "--speed-2", "10–30"], [50, "--speed-3", "30–50"], [80, "--speed-4", "50–80"], [Infinity, "--speed-5", "over 80 km/h"]];
  const of = (speed) => CLASSES.findIndex(([limit]) => (speed || 0) < limit);
  const colour = (kind) => Convoy.colour(CLASSES[kind][1]);

  /* `lines` of points [time, latitude, longitude, km/h]. */
  function draw(lines, layer) {
    const styles = CLASSES.map((_, kind) => ({ color: colour(kind), weight: 4, opacity: 0.95, lineCap: "round", interactive: false }));
    const halo = { color: Convoy.colour("--halo"), weight: 7, opacity: 0.9, interactive: false };
    for (const line of lines) L.polyline(line.map((point) => [point[1], point[2]]), halo).addTo(layer);
    for (const line of lines) {
      for (let from = 0; from < line.length - 1;) {
        const kind = of(line[from + 1][3]);
        let to = from + 1;
        while (to < line.length - 1 && of(line[to + 1][3]) === kind) to += 1;
        L.polyline(line.slice(from, to + 1).map((point) => [point[1], point[2]]), styles[kind]).addTo(layer);
        from = to;
      }
    }
  }

  function legend(list) {
    for (const [, name, text] of CLASSES) {
      const item = document.createElement("li");
      const swatch = document.createElement("i");
      swatch.className = name.slice(2);
      item.append(swatch, text);
      list.append(item);
    }
  }

  Convoy.speeds = { of, colour, draw, legend };
})();
