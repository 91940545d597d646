// The scenario page: an annotation moves every camera to its moment; what cannot be played says so.
(() => {
  "use strict";
  const videos = [...document.querySelectorAll(".camera video")];
  for (const video of videos) {
    video.addEventListener("error", () => {
      const note = video.parentElement.querySelector(".cannot");
      if (note) note.hidden = false;
    });
    if (video.error) video.dispatchEvent(new Event("error"));
  }
  document.getElementById("notes")?.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-seconds]");
    if (!button) return;
    for (const other of document.querySelectorAll("#notes [aria-current]")) other.removeAttribute("aria-current");
    button.setAttribute("aria-current", "true");
    const seconds = Number(button.dataset.seconds);
    for (const video of videos) {
      const seek = () => { video.currentTime = Math.min(seconds, video.duration || seconds); };
      if (video.readyState > 0) seek();
      else video.addEventListener("loadedmetadata", seek, { once: true });
    }
    videos[0]?.scrollIntoView({ block: "nearest" });
  });
})();
