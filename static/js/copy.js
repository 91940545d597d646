"use strict";
/* A click into a field that is there to be copied selects all of it. */
document.addEventListener("focusin", (event) => { if (event.target.matches("input.copy")) event.target.select(); });
/* Buttons that copy what they name. Without scripts, or where the browser forbids it, the text is selected by hand. */
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const said = document.getElementById("copied");
  let done = false;
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    done = true;
  } catch {
    getSelection().selectAllChildren(source);
    done = document.execCommand("copy");
  }
  button.textContent = done ? "Copied" : "Select and copy";
  if (said) said.textContent = done ? "Copied to the clipboard." : "The text is selected: copy it with the keyboard.";
  setTimeout(() => { button.textContent = "Copy"; }, 2500);
});
for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;
