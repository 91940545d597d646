"use strict";
/* Geofences on the live map, when the reader wants them. */
(() => {
  const box = document.getElementById("show-geofences");
  const { map } = Convoy.page;
  const group = L.layerGroup();
  let asked = false;

  async function load() {
    if (asked) return;
    asked = true;
    try {
      const { features } = await Convoy.get(box.dataset.url);
      for (const feature of features) group.addLayer(Convoy.fences.shape(feature));
      box.dataset.count = String(features.length);
    } catch {
      asked = false;
      box.checked = false;
    }
  }

  function show() {
    if (box.checked) load().then(() => { if (box.checked) group.addTo(map); });
    else group.remove();
    try { localStorage.setItem("geofences", box.checked ? "1" : ""); } catch { /* private window */ }
  }

  try { box.checked = localStorage.getItem("geofences") === "1"; } catch { /* private window */ }
  box.addEventListener("change", show);
  box.parentElement.hidden = false;
  if (box.checked) show();
})();
