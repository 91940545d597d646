"use strict";
/* Draws what the form's fields say, and writes into them what is drawn. Every corner can be reached and moved with the
   keyboard: arrows move it, Delete removes it. */
(() => {
  const form = document.getElementById("geofence-form");
  const element = document.getElementById("map");
  const hint = document.getElementById("drawing-hint");
  const field = (name) => form.elements.namedItem(name);
  const HANDLES = 200;
  const STEP_PX = 8;
  const TYPES = { circle: ["Point"], polygon: ["Polygon", "MultiPolygon"], corridor: ["LineString"] };
  const HINTS = {
    circle: "Click the middle, then a point on the border.",
    polygon: "Click the corners one after the other; finish with Enter or by clicking the first one again.",
    corridor: "Click the points of the route one after the other; finish with Enter or a double click.",
  };
  for (const part of form.querySelectorAll(".fence-stage, .drawing-acts, #drawing-hint")) part.hidden = false;

  const map = Convoy.map(element);
  map.doubleClickZoom.disable();
  const others = L.layerGroup().addTo(map);
  const handles = L.layerGroup().addTo(map);
  let shape = null; // what the fields say, drawn
  let sketch = null; // points of what is being drawn: [lat, lng]
  let trace = null;

  const kind = () => field("kind").value;
  const round = (value) => Math.round(value * 1e6) / 1e6;
  const turned = (lng) => round(((((lng + 180) % 360) + 360) % 360) - 180);
  const position = ({ lat, lng }) => [turned(lng), round(lat)];

  function geometry() {
    try {
      const told = JSON.parse(field("geometry").value);
      return TYPES[kind()].includes(told?.type) && Array.isArray(told.coordinates) ? told : null;
    } catch { return null; }
  }

  function write(told) {
    field("geometry").value = JSON.stringify(told);
    draw();
  }

  // --- what stands in the fields ----------------------------------------------------------------------
  function draw() {
    shape?.remove();
    shape = null;
    handles.clearLayers();
    const told = geometry();
    if (!told || sketch) return;
    try {
      const properties = { colour: field("colour").value, radius_m: Number(field("radius_m").value) || 1, width_m: Number(field("width_m").value) || 1 };
      shape = Convoy.fences.shape({ geometry: told, properties }).addTo(map);
    } catch { return; } // numbers are still being typed
    grips(told);
  }

  function grips(told) {
    if (told.type === "Point") {
      grip(told.coordinates, "Middle of the circle", (place) => write({ type: "Point", coordinates: position(place) }));
      const edge = border(told.coordinates, Number(field("radius_m").value) || 1);
      grip(edge, "Border of the circle", (place) => {
        field("radius_m").value = Math.max(5, Math.round(map.distance([told.coordinates[1], told.coordinates[0]], place)));
        draw();
      });
      return;
    }
    if (told.type === "MultiPolygon") { say("Several areas at once are changed as text below."); return; }
    const line = told.type === "LineString" ? told.coordinates : told.coordinates[0].slice(0, -1);
    if (line.length > HANDLES) { say(`More than ${HANDLES} points are changed as text below.`); return; }
    const places = Convoy.fences.straight(line, line[0][0]);
    const least = told.type === "LineString" ? 2 : 3;
    const save = (points) => {
      const found = points.map(([lat, lng]) => position({ lat, lng }));
      if (told.type === "LineString") write({ type: "LineString", coordinates: found });
      else write({ type: "Polygon", coordinates: [[...found, found[0]], ...told.coordinates.slice(1)] });
    };
    places.forEach(([lat, lng], number) => {
      const move = (place) => save(places.with(number, [place.lat, place.lng]));
      const drop = () => { if (places.length > least) save(places.toSpliced(number, 1)); };
      grip([lng, lat], `Point ${number + 1} of ${places.length}`, move, drop);
    });
    const pairs = told.type === "LineString" ? places.length - 1 : places.length;
    for (let number = 0; number < pairs; number += 1) {
      const [a, b] = [places[number], places[(number + 1) % places.length]];
      const half = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
      grip([half[1], half[0]], `New point after point ${number + 1}`, (place) => save(places.toSpliced(number + 1, 0, [place.lat, place.lng])), null, true);
    }
  }

  function border([lng, lat], radius) {
    return [lng + radius / (111_195 * Math.cos((lat * Math.PI) / 180)), lat];
  }

  let kept = ""; // which handle has the focus, while all are drawn again
  function grip([lng, lat], title, moved, dropped = null, faint = false) {
    const icon = L.divIcon({ className: faint ? "grip faint" : "grip", iconSize: [18, 18] });
    const marker = L.marker([lat, lng], { icon, draggable: true, title, alt: title, keyboard: true }).addTo(handles);
    const dot = marker.getElement();
    dot.setAttribute("aria-label", title);
    marker.on("dragend", () => moved(marker.getLatLng()));
    dot.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (way) {
        const at = map.latLngToContainerPoint(marker.getLatLng()).add(L.point(way).multiplyBy(event.shiftKey ? 1 : STEP_PX));
        kept = title;
        moved(map.containerPointToLatLng(at));
      } else if (event.key === "Delete" || event.key === "Backspace") dropped?.();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    if (title === kept) { kept = ""; dot.focus(); }
  }

  // --- drawing ----------------------------------------------------------------------------------------
  function begin() {
    sketch = [];
    draw();
    say(HINTS[kind()]);
    element.classList.add("drawing");
    show();
  }

  function end() {
    if (!sketch) return;
    const points = sketch.map(([lat, lng]) => position({ lat, lng }));
    const enough = { circle: 2, polygon: 3, corridor: 2 }[kind()];
    if (points.length < enough) return;
    const [drawn, which] = [sketch, kind()];
    sketch = null;
    trace?.remove();
    element.classList.remove("drawing");
    if (which === "circle") {
      field("radius_m").value = Math.max(5, Math.round(map.distance(drawn[0], drawn[1])));
      write({ type: "Point", coordinates: points[0] });
    } else if (which === "corridor") write({ type: "LineString", coordinates: points });
    else write({ type: "Polygon", coordinates: [[...points, points[0]]] });
    say("Drag the points to change it, or move them with the arrow keys; Delete removes one.");
    show();
  }

  function follow(pointer) {
    trace?.remove();
    if (!sketch?.length) return;
    const points = pointer ? [...sketch, [pointer.lat, pointer.lng]] : sketch;
    const style = { color: field("colour").value, weight: 2, dashArray: "5 5", fillOpacity: 0.1, interactive: false };
    if (kind() === "circle") trace = L.circle(points[0], { ...style, radius: map.distance(points[0], points.at(-1)) || 1 });
    else trace = kind() === "polygon" ? L.polygon(points, style) : L.polyline(points, style);
    trace.addTo(map);
  }

  map.on("mousemove", (event) => { if (sketch) follow(event.latlng); });
  map.on("click", (event) => {
    if (!sketch) { if (!geometry()) begin(); else return; }
    const first = sketch[0] && map.latLngToContainerPoint(sketch[0]);
    if (kind() === "polygon" && sketch.length > 2 && first.distanceTo(event.containerPoint) < 12) { end(); return; }
    const last = sketch.at(-1) && map.latLngToContainerPoint(sketch.at(-1));
    if (!last || last.distanceTo(event.containerPoint) > 3) sketch.push([event.latlng.lat, event.latlng.lng]);
    if (kind() === "circle" && sketch.length === 2) end();
    follow();
    show();
  });
  map.on("dblclick", () => end());
  element.addEventListener("keydown", (event) => {
    if (!sketch) return;
    if (event.key === "Enter") { end(); event.preventDefault(); }
    if (event.key === "Escape") { cancel(); event.preventDefault(); }
  });
  function cancel() {
    sketch = null;
    trace?.remove();
    element.classList.remove("drawing");
    draw();
    show();
  }

  // --- the form ---------------------------------------------------------------------------------------
  const acts = Object.fromEntries([...form.querySelectorAll("[data-act]")].map((button) => [button.dataset.act, button]));
  acts.anew.addEventListener("click", begin);
  acts.back.addEventListener("click", () => { sketch?.pop(); follow(); show(); });
  acts.done.addEventListener("click", end);
  function show() {
    acts.back.hidden = !sketch?.length;
    acts.done.hidden = !sketch || kind() === "circle";
    acts.anew.hidden = Boolean(sketch);
  }
  function say(text) { Convoy.setText(hint, text); }

  function sift() {
    for (const part of form.querySelectorAll("[data-kinds]")) part.hidden = !part.dataset.kinds.split(" ").includes(kind());
    if (sketch || !geometry()) begin();
    else { draw(); show(); }
  }
  for (const radio of form.querySelectorAll("[name=kind]")) radio.addEventListener("change", () => { cancel(); sift(); });
  for (const name of ["geometry", "radius_m", "width_m", "colour"]) field(name).addEventListener("input", () => { if (name === "geometry") cancel(); draw(); });

  /* Where to begin: at the geofence, else at the others and the vehicles. */
  async function look() {
    if (shape) map.fitBounds(shape.getBounds(), { padding: [40, 40], maxZoom: 17, animate: false });
    const known = await Convoy.get(element.dataset.fences).catch(() => ({ features: [] }));
    const bounds = L.latLngBounds([]);
    for (const feature of known.features) {
      if (String(feature.id) === element.dataset.self) continue;
      const layer = Convoy.fences.shape({ ...feature, properties: { ...feature.properties, colour: "#808080" } });
      others.addLayer(layer);
      bounds.extend(layer.getBounds());
    }
    if (shape) return;
    const answer = await Convoy.get(element.dataset.positions).catch(() => ({ vehicles: [] }));
    for (const row of answer.vehicles) if (row[7] !== null) bounds.extend([row[7], row[8]]);
    if (!shape && !sketch?.length && bounds.isValid()) map.fitBounds(bounds, { padding: [30, 30], maxZoom: 15, animate: false });
  }

  sift();
  look();
  Convoy.page = { map, draw, begin, end };
})();
