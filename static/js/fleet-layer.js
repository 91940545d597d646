"use strict";
/* All vehicles of a map on one canvas: no DOM node per vehicle, so that five thousand stay cheap.
   Between two records a vehicle glides; after the last one it rolls on for a moment, then waits. */
(() => {
  const STATES = ["never", "offline", "parked", "charging", "idle", "moving"]; // drawn in this order
  const SIZE = 22;
  const TURN = 5; // degrees between two pictures of an arrow
  const JUMP_M = 400; // farther than this is not a movement but a correction
  const ROLL_S = 2.5;
  const LABELS_UP_TO = 60;
  const MANY = 1500;
  const shapes = {
    moving: (c) => { c.moveTo(0, -9); c.lineTo(6.6, 8); c.lineTo(0, 4.4); c.lineTo(-6.6, 8); c.closePath(); },
    idle: (c) => { c.arc(0, 0, 7, 0, 7); },
    parked: (c) => { c.roundRect(-7, -7, 14, 14, 3); },
    charging: (c) => { c.moveTo(0, -9); c.lineTo(9, 0); c.lineTo(0, 9); c.lineTo(-9, 0); c.closePath(); },
    offline: (c) => { c.arc(0, 0, 6.5, 0, 7); },
    never: (c) => { c.arc(0, 0, 5, 0, 7); },
  };
  const signs = {
    idle: (c) => { c.fillRect(-3, -3.2, 2, 6.4); c.fillRect(1, -3.2, 2, 6.4); },
    parked: (c) => { c.font = "700 10.5px system-ui, sans-serif"; c.textAlign = "center"; c.textBaseline = "middle"; c.fillText("P", 0, 0.8); },
    charging: (c) => { c.beginPath(); c.moveTo(1.4, -5.4); c.lineTo(-3.6, 1); c.lineTo(-0.6, 1); c.lineTo(-1.4, 5.4); c.lineTo(3.6, -1); c.lineTo(0.6, -1); c.closePath(); c.fill(); },
    offline: (c) => { c.lineWidth = 1.6; c.beginPath(); c.moveTo(-2.4, -2.4); c.lineTo(2.4, 2.4); c.moveTo(2.4, -2.4); c.lineTo(-2.4, 2.4); c.stroke(); },
  };

  const mercator = (lat, lng) => {
    const s = Math.sin((Math.max(-85, Math.min(85, lat)) * Math.PI) / 180);
    return [lng / 360 + 0.5, 0.5 - Math.log((1 + s) / (1 - s)) / (4 * Math.PI)];
  };
  const metre = (y) => 1 / (40_075_017 / Math.cosh(Math.PI * (1 - 2 * y))); // one metre, as a part of the world's width

  const FleetLayer = L.Layer.extend({
    initialize(options) {
      L.setOptions(this, options);
      this.vehicles = new Map();
      this.shown = () => true;
      this.chosen = null;
      this.frames = { count: 0, total: 0, worst: 0 };
    },

    onAdd(map) {
      this._canvas = L.DomUtil.create("canvas", "leaflet-zoom-animated fleet-canvas");
      this._canvas.setAttribute("aria-hidden", "true");
      const pane = map.getPane("fleet") || map.createPane("fleet");
      pane.style.zIndex = 450;
      pane.style.pointerEvents = "none";
      pane.appendChild(this._canvas);
      this._paint();
      map.on("move resize zoomend moveend viewreset", this._place, this);
      if (map.options.zoomAnimation) map.on("zoomanim", this._zoom, this);
      Convoy.dark.addEventListener("change", () => this._paint());
      this._place();
    },

    /* One record's worth of news. `glide` false: put it there. */
    update(id, news, glide = true) {
      const known = this.vehicles.get(id);
      const vehicle = known || { id, state: "never", heading: 0, x: null, at: 0, period: 1 };
      vehicle.info = news.info || vehicle.info;
      if (vehicle.state !== news.state) vehicle.state = news.state;
      vehicle.speed = news.speed || 0;
      if (!known) this.vehicles.set(id, vehicle);
      if (Number.isFinite(news.lat) && Number.isFinite(news.lng)) this._steer(vehicle, news, glide && !Convoy.calm.matches);
      else if (news.lat === null) Object.assign(vehicle, { x: null, lat: null, lng: null, moving: false }); // nobody's business
      this.redraw();
    },

    _steer(vehicle, news, glide) {
      const at = performance.now() / 1000;
      const [x, y] = mercator(news.lat, news.lng);
      const heading = Number.isFinite(news.heading) ? news.heading : vehicle.heading;
      const far = vehicle.x === null || Math.hypot(x - vehicle.x, y - vehicle.y) > JUMP_M * metre(y);
      const pause = at - vehicle.at;
      if (!glide || far || pause > 20) {
        Object.assign(vehicle, { x, y, heading, fromX: x, fromY: y, fromHeading: heading, toX: x, toY: y, toHeading: heading, begun: at, moving: false });
      } else {
        vehicle.period += 0.3 * (Math.min(Math.max(pause, 0.2), 6) - vehicle.period);
        Object.assign(vehicle, { fromX: vehicle.x, fromY: vehicle.y, fromHeading: vehicle.heading, toX: x, toY: y, toHeading: heading, begun: at, moving: true });
      }
      vehicle.at = at;
      vehicle.lat = news.lat;
      vehicle.lng = news.lng;
    },

    /* Where it is drawn at this moment. True while it still moves. */
    _advance(vehicle, at) {
      const t = (at - vehicle.begun) / vehicle.period;
      const share = Math.min(1, t);
      vehicle.x = vehicle.fromX + (vehicle.toX - vehicle.fromX) * share;
      vehicle.y = vehicle.fromY + (vehicle.toY - vehicle.fromY) * share;
      const turn = ((vehicle.toHeading - vehicle.fromHeading + 540) % 360) - 180;
      vehicle.heading = (vehicle.fromHeading + turn * Math.min(1, t * 1.5) + 360) % 360;
      if (t <= 1) return true;
      const rolled = Math.min(ROLL_S, at - vehicle.begun - vehicle.period);
      if (vehicle.state !== "moving" || !vehicle.speed) return false;
      const way = (vehicle.speed / 3.6) * (rolled - (rolled * rolled) / (2 * ROLL_S)) * metre(vehicle.toY);
      const angle = (vehicle.toHeading * Math.PI) / 180;
      vehicle.x += Math.sin(angle) * way;
      vehicle.y -= Math.cos(angle) * way;
      return rolled < ROLL_S;
    },

    drop(id) { this.vehicles.delete(id); this.redraw(); },
    choose(id) { this.chosen = id; this.redraw(); },
    latLng(id) {
      const vehicle = this.vehicles.get(id);
      if (!vehicle || vehicle.x === null) return null;
      const y = Math.PI * (1 - 2 * vehicle.y);
      return L.latLng((Math.atan(Math.sinh(y)) * 180) / Math.PI, (vehicle.x - 0.5) * 360);
    },

    redraw() {
      if (this._frame || !this._map) return;
      this._frame = requestAnimationFrame((time) => this._tick(time));
    },

    _tick(time) {
      this._frame = 0;
      if (!this._map) return;
      // Many vehicles move less than a pixel between two frames: every second frame is enough.
      const many = this.vehicles.size > MANY;
      if (many && time - (this._drawn || 0) < 30 && !this._moved) { this.redraw(); return; }
      this._drawn = time;
      this._moved = false;
      const begun = performance.now();
      let moving = false;
      for (const vehicle of this.vehicles.values()) {
        if (vehicle.moving) { vehicle.moving = this._advance(vehicle, begun / 1000); moving ||= vehicle.moving; }
      }
      if (!this._zooming) this._draw();
      this.fire("drawn");
      const took = performance.now() - begun;
      this.frames.count += 1;
      this.frames.total += took;
      this.frames.worst = Math.max(this.frames.worst, took);
      if (moving) this.redraw();
    },

    _draw() {
      const map = this._map, context = this._canvas.getContext("2d"), size = this._size, ratio = this._ratio;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, size.x, size.y);
      const world = 256 * 2 ** map.getZoom();
      const origin = map.getPixelBounds().min;
      const zoom = map.getZoom();
      const scale = zoom >= 12 || this.vehicles.size < 200 ? 1 : zoom >= 9 ? 0.8 : 0.6;
      this._seen = [];
      const layers = STATES.map(() => []);
      for (const vehicle of this.vehicles.values()) {
        if (vehicle.x === null || !this.shown(vehicle)) continue;
        const x = vehicle.x * world - origin.x, y = vehicle.y * world - origin.y;
        if (x < -SIZE || y < -SIZE || x > size.x + SIZE || y > size.y + SIZE) continue;
        vehicle.px = x; vehicle.py = y;
        this._seen.push(vehicle);
        if (vehicle.id !== this.chosen) layers[STATES.indexOf(vehicle.state)].push(vehicle);
      }
      this._sizePictures(scale);
      // Pictures are as large as they are drawn: copying is several times cheaper than scaling.
      const place = this._seen.length > MANY ? Math.round : (value) => value;
      const middle = (this._side / 2) | 0;
      context.setTransform(1, 0, 0, 1, 0, 0);
      for (const layer of layers) {
        for (const vehicle of layer) context.drawImage(this._picture(vehicle), place(vehicle.px * ratio) - middle, place(vehicle.py * ratio) - middle);
      }
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      const chosen = this._seen.find((vehicle) => vehicle.id === this.chosen);
      if (chosen) this._drawChosen(context, chosen);
      if (this._seen.length <= LABELS_UP_TO && this.options.labels) this._drawLabels(context);
      else if (chosen && this.options.labels) this._label(context, chosen);
    },

    _drawChosen(context, vehicle) {
      context.beginPath();
      context.arc(vehicle.px, vehicle.py, 16, 0, 7);
      context.fillStyle = this._ring + "33";
      context.fill();
      context.lineWidth = 2;
      context.strokeStyle = this._ring;
      context.stroke();
      context.drawImage(this._picture(vehicle), vehicle.px - SIZE * 0.6, vehicle.py - SIZE * 0.6, SIZE * 1.2, SIZE * 1.2);
    },

    _drawLabels(context) {
      const taken = [];
      for (const vehicle of this._seen) {
        const box = [vehicle.px - 12, vehicle.py - 8, vehicle.px + 70, vehicle.py + 8];
        const clash = taken.some((b) => box[0] < b[2] && box[2] > b[0] && box[1] < b[3] && box[3] > b[1]);
        if (clash && vehicle.id !== this.chosen) continue;
        taken.push(box);
        this._label(context, vehicle);
      }
    },

    _label(context, vehicle) {
      if (!vehicle.info) return;
      context.font = "600 11.5px system-ui, sans-serif";
      context.textBaseline = "middle";
      context.lineJoin = "round";
      context.lineWidth = 3.5;
      context.strokeStyle = this._halo;
      context.strokeText(vehicle.info.name, vehicle.px + 13, vehicle.py);
      context.fillStyle = this._ink;
      context.fillText(vehicle.info.name, vehicle.px + 13, vehicle.py);
    },

    _picture(vehicle) {
      const turn = vehicle.state === "moving" ? Math.round(vehicle.heading / TURN) % (360 / TURN) : 0;
      const pictures = this._pictures[vehicle.state];
      return pictures[turn] || (pictures[turn] = this._drawPicture(vehicle.state, turn * TURN));
    },

    _sizePictures(scale) {
      const side = Math.round(SIZE * scale * this._ratio);
      if (side === this._side) return;
      this._side = side;
      this._pictures = Object.fromEntries(STATES.map((state) => [state, []]));
    },

    _drawPicture(state, heading) {
      const picture = document.createElement("canvas");
      picture.width = picture.height = this._side;
      const c = picture.getContext("2d");
      c.scale(this._side / SIZE, this._side / SIZE);
      c.translate(SIZE / 2, SIZE / 2);
      c.rotate((heading * Math.PI) / 180);
      const hollow = state === "offline" || state === "never";
      const colour = Convoy.colour(`--state-${state}`);
      c.beginPath();
      shapes[state](c);
      c.lineJoin = "round";
      c.lineWidth = 4;
      c.strokeStyle = this._halo;
      c.stroke();
      c.fillStyle = hollow ? this._halo : colour;
      c.fill();
      if (hollow) { c.lineWidth = 1.8; c.strokeStyle = colour; if (state === "never") c.setLineDash([2, 2]); c.stroke(); }
      c.fillStyle = hollow ? colour : Convoy.colour("--state-sign");
      signs[state]?.(c);
      return picture;
    },

    _paint() {
      this._side = 0; // pictures are drawn again, in the colours of now
      this._halo = Convoy.colour("--halo");
      this._ink = Convoy.colour("--ink");
      this._ring = Convoy.colour("--accent-line");
      this.redraw();
    },

    _place() {
      this._zooming = false;
      const map = this._map, size = map.getSize();
      this._ratio = Math.min(2, devicePixelRatio || 1);
      if (!this._size || !this._size.equals(size)) {
        this._size = size;
        this._canvas.width = size.x * this._ratio;
        this._canvas.height = size.y * this._ratio;
        this._canvas.style.width = `${size.x}px`;
        this._canvas.style.height = `${size.y}px`;
      }
      this._corner = map.containerPointToLatLng([0, 0]);
      L.DomUtil.setPosition(this._canvas, map.containerPointToLayerPoint([0, 0]));
      this._moved = true;
      this._draw();
    },

    _zoom(event) {
      this._zooming = true;
      const offset = this._map._latLngToNewLayerPoint(this._corner, event.zoom, event.center);
      L.DomUtil.setTransform(this._canvas, offset, this._map.getZoomScale(event.zoom));
    },

    /* The topmost vehicle near a point of the map, or null. */
    at(point, reach = 14) {
      let best = null, nearest = reach;
      for (const vehicle of this._seen || []) {
        const distance = Math.hypot(vehicle.px - point.x, vehicle.py - point.y);
        if (distance <= nearest) { nearest = distance; best = vehicle; }
      }
      return best;
    },
  });

  Convoy.FleetLayer = FleetLayer;
})();
