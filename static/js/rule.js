// Shows only the fields that the chosen kind of rule needs. Without it all are there, and the server takes its pick.
"use strict";
const form = document.querySelector("[data-kind-of-rule]");
const kind = form.elements.namedItem("kind");
function sift() {
  for (const part of form.querySelectorAll("[data-kinds]")) {
    part.hidden = !part.dataset.kinds.split(" ").includes(kind.value);
  }
}
kind.addEventListener("change", sift);
sift();
