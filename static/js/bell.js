"use strict";
/* The bell in the bar of every page: right at first paint; afterwards asked for again now and then, and when a socket
   of the page says that alerts changed. */
(() => {
  const bell = document.getElementById("bell");
  if (!bell) return;
  const count = bell.querySelector(".count");
  const text = bell.querySelector(".visually-hidden");
  let asked = Date.now();
  let timer = 0;

  async function refresh() {
    clearTimeout(timer);
    timer = 0;
    asked = Date.now();
    try {
      const response = await fetch(bell.dataset.url, { credentials: "same-origin", headers: { Accept: "application/json" } });
      if (!response.ok) return;
      const { unread, shown } = await response.json();
      count.textContent = shown;
      count.hidden = !unread;
      const words = unread ? `Notifications, ${shown} unread` : "Notifications";
      if (text.textContent !== words) text.textContent = words;
    } catch { /* no network: later */ }
  }
  /* Many alerts at once are one question, and many browsers do not ask at the same moment. */
  const soon = () => { if (!timer) timer = setTimeout(refresh, Math.max(200 + 600 * Math.random(), asked + 2000 - Date.now())); };

  addEventListener("alerts-changed", soon);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && Date.now() - asked > 20_000) soon(); });
  setInterval(() => { if (!document.hidden && Date.now() - asked > 60_000) refresh(); }, 5_000);
  if (document.querySelector("#live[data-hints]")) Convoy.connect({});
})();
