"use strict";
/* A list that is asked for again when the server hints that something changed. */
(() => {
  const list = document.querySelector("[data-hints]");
  if (!list) return;
  const refresh = () => htmx.trigger(list, "refresh");
  Convoy.connect({ [list.dataset.hints]: refresh, back: refresh });
})();
