"use strict";
// Runs that go on tell every two seconds how far they are.
const waiting = [...document.querySelectorAll("[data-run]")];
async function look() {
  for (const place of [...waiting]) {
    try {
      const answer = await fetch(`/api/runs/${place.dataset.run}`);
      if (!answer.ok) continue;
      const run = await answer.json();
      const counts = { pages: run.pages, done: run.done + run.skipped, failed: run.failed };
      for (const [name, count] of Object.entries(counts)) {
        const cell = place.querySelector(`[data-count=${name}]`);
        if (cell) cell.textContent = count.toLocaleString("en");
      }
      const bar = place.querySelector("progress");
      bar.max = run.pages || 1;
      bar.value = counts.done + counts.failed;
      if (run.is_over) waiting.splice(waiting.indexOf(place), 1);
    } catch { /* the server is away for a moment */ }
  }
  if (waiting.length) setTimeout(look, 2000);
}
if (waiting.length) setTimeout(look, 2000);
