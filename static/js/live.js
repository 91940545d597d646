"use strict";
/* The live connection of a page: a socket that comes back by itself, the indicator, the slow refresh, ages.
   A push is a hint that may be lost, so whatever it brings is also asked for by Convoy.poll(). */
(() => {
  const indicator = document.getElementById("live");
  const TEXT = { connecting: "Connecting", live: "Live", away: "Reconnecting", out: "Logged out" };
  let offset = 0; // server's clock minus ours, s
  let socket = null;
  let failures = 0;
  let timer = 0;
  let lastHeard = 0;
  let listeners = {};
  const polls = [];

  const now = () => Date.now() / 1000 + offset;
  const setClock = (serverNow) => { offset = Number(serverNow) - Date.now() / 1000; };

  function show(state, detail) {
    if (!indicator) return;
    if (indicator.dataset.state !== state) indicator.dataset.state = state;
    const text = indicator.querySelector(".text");
    const words = TEXT[state] + (detail ? ` ${detail}` : "");
    if (text.textContent !== words) text.textContent = words;
  }

  function open() {
    clearTimeout(timer);
    const url = new URL(indicator.dataset.socket, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    socket = new WebSocket(url);
    socket.addEventListener("open", () => { lastHeard = Date.now(); });
    socket.addEventListener("message", (event) => hear(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => lost(event.code));
  }

  function hear(message) {
    lastHeard = Date.now();
    if (message.type === "history" && message.since === undefined) {
      const back = failures > 0;
      failures = 0;
      show("live");
      if (back) { polls.forEach((poll) => poll.soon()); listeners.back?.(); dispatchEvent(new Event("alerts-changed")); }
    }
    if (message.type === "alerts_changed") dispatchEvent(new Event("alerts-changed")); // bell.js and htmx listen
    listeners[message.type]?.(message);
  }

  function lost(code) {
    socket = null;
    failures += 1;
    if (code === 4401) { show("out"); polls.forEach((poll) => poll.soon()); return; } // they find out and go to the log-in
    const wait = Math.min(30, 0.5 * 2 ** Math.min(failures, 6)) * (0.5 + Math.random());
    show("away");
    if (failures === 1) polls.forEach((poll) => poll.soon());
    timer = setTimeout(open, wait * 1000);
  }

  function connect(handlers) {
    listeners = handlers;
    open();
    // A dead network says nothing: the server tells its statistics often enough when anything moves.
    addEventListener("online", () => { if (!socket) { open(); } });
    addEventListener("offline", () => socket?.close());
    addEventListener("pagehide", () => { clearTimeout(timer); socket?.close(); });
    addEventListener("pageshow", (event) => { if (event.persisted && !socket) open(); });
  }

  const isLive = () => socket !== null && socket.readyState === WebSocket.OPEN && failures === 0;
  const send = (message) => { if (isLive()) socket.send(JSON.stringify(message)); };

  /* Calls `refresh` every `slow` seconds, every `fast` while the socket is down, and when the page is shown again. */
  function poll(refresh, slow = 45, fast = 10) {
    let due = Date.now() + slow * 1000;
    let begun = Date.now();
    const run = () => { begun = Date.now(); due = begun + slow * 1000 * (0.85 + 0.3 * Math.random()); refresh(); };
    const soon = () => { due = Math.min(due, Date.now() + 200 + 800 * Math.random()); };
    setInterval(() => {
      if (document.hidden) return;
      if (Date.now() >= due || (!isLive() && Date.now() - begun >= fast * 1000)) run();
    }, 250);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
    const entry = { soon, run };
    polls.push(entry);
    return entry;
  }

  /* JSON from our own server; a session that ended sends the whole page to the log-in. */
  async function get(url) {
    const response = await fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin" });
    if (response.status === 401) { location.reload(); throw new Error("logged out"); }
    if (!response.ok) throw new Error(`${response.status} for ${url}`);
    return response.json();
  }

  function ago(seconds) {
    for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
      if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
    }
    return seconds < 5 ? "just now" : `${Math.floor(seconds)} s ago`;
  }

  function age() {
    if (document.hidden) return;
    const at = now();
    for (const element of document.querySelectorAll("[data-age][data-unix]")) {
      const text = ago(Math.max(0, at - Number(element.dataset.unix)));
      if (element.textContent !== text) element.textContent = text;
    }
  }
  setInterval(age, 1000);

  const POINTS = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"];
  /* The same text as fleet/readings.py writes. */
  function number(value, digits) {
    const text = value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return /[1-9]/.test(text) ? text.replace("-", "−") : text.replace("-", "");
  }
  function reading(name, value, digits) {
    if (value === null || value === undefined) return "–";
    if (name === "ignition" || name === "charging") return value ? "on" : "off";
    if (name === "heading") return `${number(value, 0)}° ${POINTS[Math.round(value / 45) % 8]}`;
    return number(value, digits);
  }
  const setText = (element, text) => { if (element && element.textContent !== text) element.textContent = text; };
  const motionLabel = (motion) => (motion === "never" ? "Never seen" : motion[0].toUpperCase() + motion.slice(1));
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  window.Convoy = { now, setClock, connect, isLive, send, poll, get, ago, age, number, reading, setText, motionLabel, calm, dark, colour };
})();
