"use strict";
/* Geofences on a map: circles, polygons, and corridors as lines as wide on the map as they are on the ground. */
(() => {
  const EARTH_M = 40_075_016.7;
  const STYLE = { weight: 2, fillOpacity: 0.16, opacity: 0.95 };

  /* Across the date line longitudes go on beyond 180, so that a map draws one shape. */
  function straight(line, from = 0) {
    let before = from;
    return line.map(([lng, lat]) => {
      before = lng + Math.round((before - lng) / 360) * 360;
      return [lat, before];
    });
  }

  function shape({ geometry, properties }) {
    const colour = properties.colour || "#2563eb";
    const style = { ...STYLE, color: colour, fillColor: colour, interactive: false };
    const points = geometry.coordinates;
    if (geometry.type === "Point") return L.circle([points[1], points[0]], { ...style, radius: properties.radius_m || 1 });
    if (geometry.type === "LineString") return corridor(straight(points, points[0][0]), properties.width_m || 1, style);
    const polygons = geometry.type === "Polygon" ? [points] : points;
    const from = polygons[0][0][0][0];
    return L.polygon(polygons.map((rings) => rings.map((ring) => straight(ring, from))), style);
  }

  function corridor(line, width, style) {
    const band = L.polyline(line, { ...style, weight: 1, opacity: 0.28, lineCap: "round", lineJoin: "round", fill: false });
    const middle = L.polyline(line, { ...style, weight: 1.5, fill: false });
    const group = L.featureGroup([band, middle]);
    const measure = () => {
      if (!group._map) return;
      const latitude = band.getBounds().getCenter().lat;
      const metre = (256 * 2 ** group._map.getZoom()) / (EARTH_M * Math.cos((latitude * Math.PI) / 180));
      band.setStyle({ weight: Math.max(2, width * metre) });
    };
    group.on("add", () => { group._map.on("zoomend", measure); measure(); });
    group.on("remove", () => group._map?.off("zoomend", measure));
    return group;
  }

  Convoy.fences = { shape, straight };
})();
