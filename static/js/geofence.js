"use strict";
/* A geofence's own page: where it is. */
(() => {
  const feature = JSON.parse(document.getElementById("geofence").textContent);
  const map = Convoy.map(document.getElementById("map"));
  const shape = Convoy.fences.shape(feature).addTo(map);
  map.fitBounds(shape.getBounds(), { padding: [30, 30], maxZoom: 17, animate: false });
  Convoy.page = { map, shape };
})();
