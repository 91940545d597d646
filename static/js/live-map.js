"use strict";
/* The live map page: markers and list from the server, kept up to date by pushes, checked again by polling. */
(() => {
  const element = document.getElementById("map");
  const list = document.getElementById("vehicle-list");
  const form = document.getElementById("wish");
  const card = document.getElementById("chosen");
  const veil = document.getElementById("map-veil");
  const offlineAfter = Number(element.dataset.offlineAfter);
  const MOTIONS = ["moving", "idle", "parked", "charging", "offline", "never"];
  const FULL_EVERY_S = 600;
  Convoy.setClock(element.dataset.now);

  if (matchMedia("(max-width: 48rem)").matches) document.querySelector(".legend").open = false;
  const map = Convoy.map(element);
  const layer = new Convoy.FleetLayer({ labels: true }).addTo(map);
  const vehicles = new Map(); // id: what the rows and the card show
  let newest = 0; // received_at of the newest state we know
  let fullAt = 0;
  let loaded = false;
  let fitted = 0; // vehicles in view when it was last fitted
  let touched = false;
  let listedWords = new URLSearchParams(location.search).get("q") || "";
  for (const act of ["pointerdown", "wheel", "keydown"]) element.addEventListener(act, () => { touched = true; }, { passive: true });
  let complete = true;
  let chosen = null;
  let following = false;

  // --- what comes in ---------------------------------------------------------------------------------
  async function fetchPositions() {
    const full = Date.now() / 1000 - fullAt > FULL_EVERY_S;
    const answer = await Convoy.get(element.dataset.positions + (full || !newest ? "" : `?since=${newest - 2}`));
    Convoy.setClock(answer.now);
    if (full) {
      fullAt = Date.now() / 1000;
      complete = !answer.truncated;
      const there = new Set(answer.vehicles.map((row) => row[0]));
      for (const id of vehicles.keys()) if (!there.has(id)) { vehicles.delete(id); layer.drop(id); }
    }
    for (const row of answer.vehicles) takeRow(row);
    sayWhatIsThere();
    fit();
  }

  function takeRow([id, fleet, slug, name, plate, vin, motion, lat, lng, heading, speed, battery, received, time]) {
    newest = Math.max(newest, received);
    const known = vehicles.get(id) || {};
    if (known.time > time) { Object.assign(known, { name, plate, vin, fleet, slug }); return; }
    show(Object.assign(known, { id, fleet, slug, name, plate: plate || "", vin: vin || "", motion, lat, lng, heading, speed, battery, received, time }), Boolean(known.id));
  }

  function takePush(record) {
    const vehicle = vehicles.get(record.vehicle_id);
    if (!vehicle) { soonPositions(); return; } // new since the page was opened
    if (record.timestamp < vehicle.time) return;
    vehicle.time = record.timestamp;
    vehicle.received = Convoy.now();
    if (record.latitude != null && record.longitude != null) [vehicle.lat, vehicle.lng] = [record.latitude, record.longitude];
    if (record.heading != null) vehicle.heading = record.heading;
    if (record.speed != null) vehicle.speed = record.speed;
    if (record.battery != null) vehicle.battery = record.battery;
    if (record.motion && record.motion !== vehicle.motion) { vehicle.motion = record.motion; motionChanged(); }
    show(vehicle, true);
  }

  function hide(id) {
    const vehicle = vehicles.get(id);
    if (vehicle && vehicle.lat !== null) { vehicle.lat = vehicle.lng = null; show(vehicle, false); sayWhatIsThere(); }
  }

  function show(vehicle, glide) {
    vehicles.set(vehicle.id, vehicle);
    layer.update(vehicle.id, { info: vehicle, state: vehicle.motion, lat: vehicle.lat, lng: vehicle.lng, heading: vehicle.heading, speed: vehicle.speed }, glide);
    dirty.add(vehicle.id);
  }

  /* A push that never comes: silence turns a vehicle grey without anybody telling us. */
  function noticeSilence() {
    const before = Convoy.now() - offlineAfter;
    for (const vehicle of vehicles.values()) {
      if (vehicle.received < before && vehicle.motion !== "offline") {
        vehicle.motion = "offline";
        show(vehicle, false);
        motionChanged();
      }
    }
  }

  // --- the list --------------------------------------------------------------------------------------
  const dirty = new Set();
  let changedAt = 0;
  const dynamic = () => form.elements.state.value !== "" || form.elements.sort.value !== "name";
  function motionChanged() { if (!changedAt) changedAt = Date.now(); }

  function refreshList() {
    changedAt = 0;
    htmx.ajax("GET", location.pathname + location.search, { target: "#vehicle-list", source: "#vehicle-list" }).catch(() => {});
  }

  function updateRows() {
    for (const row of list.querySelectorAll(".row")) {
      const id = Number(row.dataset.vehicle);
      if (!dirty.has(id)) continue;
      const vehicle = vehicles.get(id);
      if (vehicle) fill(row, vehicle);
    }
    if (chosen !== null && dirty.has(chosen)) fillCard();
    dirty.clear();
  }

  function fill(root, vehicle) {
    const field = (name) => root.querySelector(`[data-field="${name}"]`);
    if (root.dataset.state !== vehicle.motion) {
      root.dataset.state = vehicle.motion;
      root.querySelector("i.state").dataset.state = vehicle.motion;
    }
    Convoy.setText(field("motion"), Convoy.motionLabel(vehicle.motion));
    Convoy.setText(field("speed"), Convoy.reading("speed", vehicle.speed, 0));
    Convoy.setText(field("battery"), Convoy.reading("battery", vehicle.battery, 0));
    field("seen").dataset.unix = vehicle.received;
  }

  function matches(vehicle) {
    const text = `${vehicle.name}\n${vehicle.plate}\n${vehicle.vin}`.toLowerCase();
    return form.elements.q.value.toLowerCase().split(/\s+/).every((word) => text.includes(word));
  }

  function applyFilter() {
    const state = form.elements.state.value;
    const words = form.elements.q.value.trim();
    layer.shown = state || words ? ({ info }) => (!state || info.motion === state) && (!words || matches(info)) : () => true;
    layer.redraw();
  }

  function count() {
    if (!complete || !newest || form.elements.q.value.trim() !== listedWords) return;
    const counts = Object.fromEntries(MOTIONS.map((motion) => [motion, 0]));
    const words = form.elements.q.value.trim();
    for (const vehicle of vehicles.values()) if (!words || matches(vehicle)) counts[vehicle.motion] += 1;
    // Vehicles that never reported are not on the map: they are what the server's total has more than we know.
    const known = Object.values(counts).reduce((sum, n) => sum + n, 0);
    const total = Math.max(known, Number(document.getElementById("count-all").textContent));
    counts.never = total - known;
    Convoy.setText(document.getElementById("count-all"), String(total));
    for (const motion of MOTIONS) Convoy.setText(document.getElementById(`count-${motion}`), String(counts[motion]));
  }

  // --- choosing and following ------------------------------------------------------------------------
  function choose(id, pan = true) {
    chosen = id;
    layer.choose(id);
    for (const row of list.querySelectorAll(".row")) row.toggleAttribute("data-chosen", Number(row.dataset.vehicle) === id);
    card.hidden = id === null || !vehicles.has(id);
    if (card.hidden) { follow(false); return; }
    fillCard();
    const place = layer.latLng(id);
    touched = true;
    if (pan && place) map.setView(place, Math.max(map.getZoom(), 15), { animate: !Convoy.calm.matches });
  }

  function fillCard() {
    const vehicle = vehicles.get(chosen);
    if (!vehicle) return;
    fill(card, vehicle);
    const field = (name) => card.querySelector(`[data-field="${name}"]`);
    Convoy.setText(field("name"), vehicle.name);
    Convoy.setText(field("plate"), vehicle.plate ? `${vehicle.plate} ·` : "");
    Convoy.setText(field("speed"), `${Convoy.reading("speed", vehicle.speed, 0)} km/h`);
    Convoy.setText(field("battery"), `${Convoy.reading("battery", vehicle.battery, 1)} %`);
    Convoy.setText(field("heading"), Convoy.reading("heading", vehicle.heading, 0));
    const link = `/vehicles/${vehicle.fleet}/${vehicle.slug}/`;
    if (field("link").getAttribute("href") !== link) field("link").setAttribute("href", link);
    Convoy.age();
  }

  function follow(on) {
    following = on && chosen !== null;
    const button = card.querySelector("[data-act=follow]");
    button.setAttribute("aria-pressed", String(following));
    button.textContent = following ? "Following" : "Follow";
    if (following) keepInView();
  }

  function keepInView() {
    const place = following && layer.latLng(chosen);
    if (!place || layer._zooming) return;
    const distance = map.latLngToContainerPoint(place).distanceTo(map.getSize().divideBy(2));
    if (distance > 1) map.panTo(place, { animate: false });
  }
  let followedAt = 0;
  layer.on("drawn", () => {
    if (!following || performance.now() - followedAt < 90) return;
    followedAt = performance.now();
    keepInView();
  });
  map.on("dragstart", () => follow(false));

  list.addEventListener("click", (event) => {
    const button = event.target.closest(".row > button");
    if (button) choose(Number(button.parentElement.dataset.vehicle));
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const button = event.target.closest(".row > button, .row > a");
    if (!step || !button) return;
    const next = step > 0 ? button.parentElement.nextElementSibling : button.parentElement.previousElementSibling;
    next?.querySelector(button.tagName === "A" ? "a" : "button")?.focus();
    event.preventDefault();
  });
  card.addEventListener("click", (event) => {
    const act = event.target.dataset.act;
    if (act === "follow") follow(!following);
    if (act === "close") { const row = document.getElementById(`row-${chosen}`); choose(null); row?.focus(); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && chosen !== null) choose(null);
  });

  const tip = L.tooltip({ direction: "top", offset: [0, -12], className: "tip" });
  map.on("mousemove", (event) => {
    const vehicle = layer.at(event.containerPoint);
    element.classList.toggle("over", Boolean(vehicle));
    if (!vehicle) { tip.remove(); return; }
    const { name, plate, motion, speed, battery } = vehicle.info;
    const text = [name, plate, Convoy.motionLabel(motion), `${Convoy.reading("speed", speed, 0)} km/h`, `${Convoy.reading("battery", battery, 0)} %`];
    const line = document.createElement("span");
    line.textContent = text.filter(Boolean).join(" · ");
    tip.setLatLng(layer.latLng(vehicle.id)).setContent(line);
    if (!map.hasLayer(tip)) tip.addTo(map);
  });
  map.on("mouseout", () => tip.remove());
  map.on("click", (event) => choose(layer.at(event.containerPoint)?.id ?? null, false));

  // --- the whole -------------------------------------------------------------------------------------
  /* All vehicles at first, and again when more turn up, until somebody moves the map. */
  function fit() {
    loaded = true;
    const places = [...vehicles.values()].filter((vehicle) => vehicle.lat !== null).map((vehicle) => [vehicle.lat, vehicle.lng]);
    if (touched || places.length <= fitted) return;
    fitted = places.length;
    const legend = document.querySelector(".legend");
    const room = legend.open ? legend.offsetHeight : 20; // nobody hides behind the legend
    map.fitBounds(places, { maxZoom: 16, animate: false, paddingTopLeft: [50, 50], paddingBottomRight: [90, Math.min(room, 200)] });
  }

  function sayWhatIsThere() {
    const placed = [...vehicles.values()].some((vehicle) => vehicle.lat !== null);
    veil.hidden = placed && complete;
    if (!placed) veil.textContent = vehicles.size ? "No vehicle has sent a position yet." : "No vehicle has reported yet.";
    else if (!complete) veil.textContent = "Showing the 10,000 vehicles heard of last.";
  }

  let said = "";
  function sum() {
    const counts = MOTIONS.map((motion) => [motion, document.getElementById(`count-${motion}`).textContent]).filter(([, n]) => n !== "0");
    const text = counts.map(([motion, n]) => `${n} ${Convoy.motionLabel(motion).toLowerCase()}`).join(", ");
    if (text !== said) Convoy.setText(document.getElementById("summary"), `Vehicles: ${text || "none"}.`);
    said = text;
  }

  const positions = Convoy.poll(() => fetchPositions().catch(failed), 45, 10);
  const rows = Convoy.poll(refreshList, 45, 10);
  const soonPositions = () => positions.soon();
  function failed() {
    if (!loaded) { veil.hidden = false; veil.textContent = "Positions could not be loaded. Trying again …"; positions.soon(); }
  }

  form.addEventListener("input", applyFilter);
  form.addEventListener("change", applyFilter);
  list.addEventListener("htmx:afterSwap", () => {
    listedWords = new URLSearchParams(location.search).get("q") || "";
    if (chosen !== null) choose(chosen, false);
    for (const id of vehicles.keys()) dirty.add(id);
    updateRows();
  });
  setInterval(() => {
    if (document.hidden) return;
    updateRows();
    if (changedAt && dynamic() && Date.now() - changedAt > 2500) refreshList();
  }, 500);
  setInterval(() => { noticeSilence(); count(); if (form.elements.state.value) layer.redraw(); }, 1000);
  setInterval(() => { if (dynamic() && form.elements.sort.value !== "name" && !document.hidden) refreshList(); }, 15_000);
  setInterval(sum, 20_000);

  Convoy.connect({
    history: (message) => { for (const record of message.data) if (vehicles.get(record.vehicle_id)?.time < record.timestamp) takePush(record); },
    positions: ({ fields, data }) => data.forEach((row) => takePush(Object.fromEntries(fields.map((name, i) => [name, row[i]])))),
    private: ({ data }) => data.vehicle_ids.forEach(hide),
    back: () => positions.run(),
  });
  applyFilter();
  fetchPositions().catch(failed).then(sum);
  Convoy.page = { map, layer, vehicles, takePush, choose };
})();
