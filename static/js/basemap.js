"use strict";
/* What lies under the vehicles: a configured tile server, else Berlin's streets, else the world's outlines.
   Everything but configured tiles comes from our own server. */
(() => {
  const WIDTH = { primary: 7, secondary: 6, tertiary: 5, unclassified: 4, residential: 4, living_street: 3, service: 2 };
  const STREETS = L.latLngBounds([52.42441, 13.51821], [52.4397, 13.5469]).pad(0.3);
  const STREETS_FROM_ZOOM = 11;

  function create(element) {
    const map = L.map(element, {
      preferCanvas: true, zoomSnap: 0.5, minZoom: 2, maxZoom: 19, worldCopyJump: true, zoomControl: false,
      zoomAnimation: !Convoy.calm.matches, fadeAnimation: false, markerZoomAnimation: !Convoy.calm.matches,
      inertia: !Convoy.calm.matches, attributionControl: false,
    }).setView([30, 10], 2);
    L.control.zoom({ position: "topright" }).addTo(map);
    L.control.attribution({ position: "bottomright", prefix: false }).addTo(map);
    L.control.scale({ position: "bottomright", imperial: false }).addTo(map);
    map.createPane("ground").style.zIndex = 150;
    if (element.dataset.tiles) {
      L.tileLayer(element.dataset.tiles, { attribution: element.dataset.tilesCredit, maxZoom: 19 }).addTo(map);
    } else {
      underlay(map, element.dataset);
    }
    return map;
  }

  function underlay(map, urls) {
    const renderer = L.canvas({ pane: "ground", padding: 0.3 });
    const layers = {};
    const loading = new Set();
    async function need(name, url, build) {
      if (loading.has(name)) return;
      loading.add(name);
      try {
        const built = build(await Convoy.get(url), renderer);
        layers[name] = built;
        built.paint();
        built.layer.addTo(map);
      } catch {
        setTimeout(() => loading.delete(name), 10_000); // tried again at the next move
      }
    }
    function look() {
      const zoom = map.getZoom();
      const near = STREETS.intersects(map.getBounds()) && zoom >= STREETS_FROM_ZOOM;
      if (near) need("streets", urls.streets, streets);
      if (!near) need("world", urls.world, world);
      map.getContainer().classList.toggle("ashore", near);
      for (const [name, { layer }] of Object.entries(layers)) {
        const wanted = near ? name === "streets" : name === "world";
        if (wanted !== map.hasLayer(layer)) (wanted ? layer.addTo(map) : layer.remove());
      }
      layers.streets?.paint();
    }
    map.on("moveend zoomend", look);
    map.whenReady(look);
    Convoy.dark.addEventListener("change", () => Object.values(layers).forEach((each) => each.paint()));
  }

  function streets(data, renderer) {
    const options = { renderer, interactive: false, smoothFactor: 0.5 };
    const casing = L.geoJSON(data, options);
    const surface = L.geoJSON(data, { ...options, attribution: "© OpenStreetMap contributors" });
    const layer = L.layerGroup([casing, surface]);
    function paint() {
      const zoom = surface._map ? surface._map.getZoom() : 15;
      const scale = 2 ** ((zoom - 16) * 0.7);
      const line = (extra, color) => (feature) => ({
        color, weight: Math.max(extra ? 1.5 : 0.8, (WIDTH[feature.properties.class] || 3) * scale + extra), opacity: 1,
        lineCap: "round", lineJoin: "round",
      });
      casing.setStyle(line(2, Convoy.colour("--street-edge")));
      surface.setStyle(line(0, Convoy.colour("--street")));
    }
    return { layer, paint };
  }

  /* The outlines are stitched together at the date line; on a flat map they need an edge there again. */
  function flatten(ring) {
    let turn = 0;
    const line = ring.map(([lng, lat], place) => {
      const step = place ? lng - ring[place - 1][0] : 0;
      if (Math.abs(step) > 180) turn -= Math.sign(step) * 360;
      return [lng + turn, lat];
    });
    if (turn) line.push([line.at(-1)[0], -89], [line[0][0], -89]); // around the pole
    return line;
  }
  function shifted(polygon, by) { return polygon.map((ring) => ring.map(([lng, lat]) => [lng + by, lat])); }
  function flat(feature) {
    const polygons = feature.geometry.type === "Polygon" ? [feature.geometry.coordinates] : feature.geometry.coordinates;
    const coordinates = polygons.flatMap((polygon) => {
      const straight = polygon.map(flatten);
      const lngs = straight[0].map(([lng]) => lng);
      if (Math.max(...lngs) > 180) return [straight, shifted(straight, -360)];
      return Math.min(...lngs) < -180 ? [straight, shifted(straight, 360)] : [straight];
    });
    return { type: "Feature", properties: {}, geometry: { type: "MultiPolygon", coordinates } };
  }

  function world(topology, renderer) {
    const countries = topojson.feature(topology, topology.objects.countries).features.map(flat);
    const layer = L.geoJSON(countries, { renderer, interactive: false, attribution: "Outlines: Natural Earth" });
    const paint = () => layer.setStyle({ weight: 0.8, color: Convoy.colour("--border"), fillColor: Convoy.colour("--land"), fillOpacity: 1 });
    return { layer, paint };
  }

  Convoy.map = create;
})();
